"""What notebooks and scripts call: runs made and read, tables, measures, searches and labels; docs/python.md."""
