"""Intertwine for people and programs outside Python: the command line.

Importing this package loads neither the solver nor any web framework.
"""
