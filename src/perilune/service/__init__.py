"""What keeps running: runs of playbooks, their approvals, and what takes over when a worker dies."""
