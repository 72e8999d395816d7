"""From a configuration and facts about the machine to the files of a generation. Pure."""
