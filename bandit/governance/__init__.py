"""Audit and data protection: verify a log, erase or retain customers, export what is stored of one."""
