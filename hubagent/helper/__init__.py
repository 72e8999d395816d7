"""Attaching users' homes to running containers: the parts of hubagent-homes.service.

The only code with CAP_SYS_ADMIN, so it imports the standard library, `wire`, `layout` and `errors`, and does
nothing but mounts in one folder, and for moments what only root may do about control groups. What is attached stands
in the kernel's mount table and nowhere else: the helper may be killed between any two steps and has no mount to
restore. What it changes for a moment it writes down before.
"""
