"""Case -> text, for people and tickets. Pure: no clock, no files but its own templates. Import the module you need."""
