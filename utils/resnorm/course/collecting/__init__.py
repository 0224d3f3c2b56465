"""From what a learning management system hands out to one folder per student.

``class_list`` reads who is in the class, ``archives`` unpacks a download, ``downloads`` finds out
who handed in what in it, ``matching`` finds the student, and ``collector`` copies the files.
"""
