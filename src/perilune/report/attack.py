"""ATT&CK (Enterprise v17) names of T1059, its thirteen sub-techniques, and the techniques seen around them."""

from __future__ import annotations

import re

_LINES = """
T1003 OS Credential Dumping
T1003.001 LSASS Memory
T1003.002 Security Account Manager
T1003.003 NTDS
T1003.008 /etc/passwd and /etc/shadow
T1005 Data from Local System
T1016 System Network Configuration Discovery
T1018 Remote System Discovery
T1021 Remote Services
T1021.002 SMB/Windows Admin Shares
T1021.004 SSH
T1027 Obfuscated Files or Information
T1027.009 Embedded Payloads
T1027.010 Command Obfuscation
T1027.011 Fileless Storage
T1027.013 Encrypted/Encoded File
T1027.015 Compression
T1033 System Owner/User Discovery
T1036 Masquerading
T1036.003 Rename Legitimate Utilities
T1036.005 Match Legitimate Resource Name or Location
T1036.008 Masquerade File Type
T1036.009 Break Process Trees
T1041 Exfiltration Over C2 Channel
T1046 Network Service Discovery
T1047 Windows Management Instrumentation
T1048 Exfiltration Over Alternative Protocol
T1049 System Network Connections Discovery
T1053 Scheduled Task/Job
T1053.002 At
T1053.003 Cron
T1053.005 Scheduled Task
T1053.006 Systemd Timers
T1055 Process Injection
T1056 Input Capture
T1056.001 Keylogging
T1056.002 GUI Input Capture
T1057 Process Discovery
T1059 Command and Scripting Interpreter
T1059.001 PowerShell
T1059.002 AppleScript
T1059.003 Windows Command Shell
T1059.004 Unix Shell
T1059.005 Visual Basic
T1059.006 Python
T1059.007 JavaScript
T1059.008 Network Device CLI
T1059.009 Cloud API
T1059.010 AutoHotKey & AutoIT
T1059.011 Lua
T1059.012 Hypervisor CLI
T1059.013 Container CLI/API
T1069 Permission Groups Discovery
T1069.002 Domain Groups
T1070 Indicator Removal
T1070.001 Clear Windows Event Logs
T1070.002 Clear Linux or Mac System Logs
T1070.003 Clear Command History
T1070.004 File Deletion
T1070.006 Timestomp
T1071 Application Layer Protocol
T1071.001 Web Protocols
T1071.004 DNS
T1072 Software Deployment Tools
T1082 System Information Discovery
T1083 File and Directory Discovery
T1087 Account Discovery
T1087.004 Cloud Account
T1090 Proxy
T1095 Non-Application Layer Protocol
T1098 Account Manipulation
T1098.004 SSH Authorized Keys
T1098.006 Additional Container Cluster Roles
T1102 Web Service
T1102.001 Dead Drop Resolver
T1104 Multi-Stage Channels
T1105 Ingress Tool Transfer
T1106 Native API
T1110 Brute Force
T1112 Modify Registry
T1113 Screen Capture
T1115 Clipboard Data
T1127 Trusted Developer Utilities Proxy Execution
T1129 Shared Modules
T1132 Data Encoding
T1132.001 Standard Encoding
T1136 Create Account
T1136.003 Cloud Account
T1140 Deobfuscate/Decode Files or Information
T1190 Exploit Public-Facing Application
T1195 Supply Chain Compromise
T1195.002 Compromise Software Supply Chain
T1202 Indirect Command Execution
T1203 Exploitation for Client Execution
T1204 User Execution
T1204.002 Malicious File
T1216 System Script Proxy Execution
T1218 System Binary Proxy Execution
T1218.005 Mshta
T1218.010 Regsvr32
T1218.011 Rundll32
T1219 Remote Access Tools
T1220 XSL Script Processing
T1222 File and Directory Permissions Modification
T1480 Execution Guardrails
T1482 Domain Trust Discovery
T1485 Data Destruction
T1486 Data Encrypted for Impact
T1489 Service Stop
T1490 Inhibit System Recovery
T1496 Resource Hijacking
T1497 Virtualization/Sandbox Evasion
T1499 Endpoint Denial of Service
T1505 Server Software Component
T1505.003 Web Shell
T1518 Software Discovery
T1518.001 Security Software Discovery
T1526 Cloud Service Discovery
T1529 System Shutdown/Reboot
T1531 Account Access Removal
T1537 Transfer Data to Cloud Account
T1543 Create or Modify System Process
T1543.002 Systemd Service
T1543.003 Windows Service
T1546 Event Triggered Execution
T1546.001 Change Default File Association
T1546.003 Windows Management Instrumentation Event Subscription
T1546.004 Unix Shell Configuration Modification
T1546.010 AppInit DLLs
T1546.012 Image File Execution Options Injection
T1546.015 Component Object Model Hijacking
T1547 Boot or Logon Autostart Execution
T1547.001 Registry Run Keys / Startup Folder
T1547.006 Kernel Modules and Extensions
T1547.013 XDG Autostart Entries
T1548 Abuse Elevation Control Mechanism
T1548.001 Setuid and Setgid
T1548.002 Bypass User Account Control
T1548.003 Sudo and Sudo Caching
T1552 Unsecured Credentials
T1552.001 Credentials In Files
T1552.002 Credentials in Registry
T1552.004 Private Keys
T1552.005 Cloud Instance Metadata API
T1552.007 Container API
T1553 Subvert Trust Controls
T1555 Credentials from Password Stores
T1555.006 Cloud Secrets Management Stores
T1556 Modify Authentication Process
T1556.003 Pluggable Authentication Modules
T1558 Steal or Forge Kerberos Tickets
T1559 Inter-Process Communication
T1559.001 Component Object Model
T1560 Archive Collected Data
T1562 Impair Defenses
T1562.001 Disable or Modify Tools
T1562.002 Disable Windows Event Logging
T1562.004 Disable or Modify System Firewall
T1562.006 Indicator Blocking
T1562.008 Disable or Modify Cloud Logs
T1562.010 Downgrade Attack
T1564 Hide Artifacts
T1564.001 Hidden Files and Directories
T1564.003 Hidden Window
T1564.004 NTFS File Attributes
T1566 Phishing
T1566.001 Spearphishing Attachment
T1567 Exfiltration Over Web Service
T1567.004 Exfiltration Over Webhook
T1569 System Services
T1569.002 Service Execution
T1571 Non-Standard Port
T1572 Protocol Tunneling
T1573 Encrypted Channel
T1574 Hijack Execution Flow
T1574.001 DLL
T1574.006 Dynamic Linker Hijacking
T1574.007 Path Interception by PATH Environment Variable
T1580 Cloud Infrastructure Discovery
T1588 Obtain Capabilities
T1588.002 Tool
T1602 Data from Configuration Repository
T1602.002 Network Device Configuration Dump
T1609 Container Administration Command
T1610 Deploy Container
T1611 Escape to Host
T1613 Container and Resource Discovery
T1620 Reflective Code Loading
T1622 Debugger Evasion
T1651 Cloud Administration Command
T1673 Virtual Machine Discovery
"""

TECHNIQUES: dict[str, str] = dict(line.split(" ", 1) for line in _LINES.strip().splitlines())

_ID = re.compile(r"T\d{4}(?:\.\d{3})?", re.ASCII)


def technique_name(technique: str) -> str:
    """`T1059.011` -> `Command and Scripting Interpreter: Lua`; empty when this list does not hold it."""
    name = TECHNIQUES.get(technique, "")
    base = TECHNIQUES.get(technique.split(".")[0], "")
    return f"{base}: {name}" if name and "." in technique and base else name


def technique_page(technique: str) -> str:
    """The technique's page at MITRE, or empty when the text is no technique id."""
    if not _ID.fullmatch(technique):
        return ""
    return f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}/"
