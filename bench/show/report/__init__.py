"""The report: one page made from stored runs, with pictures from their data set where it is here.

RunSummary, ... -> gather.groups() -> Group -> contents.of_group() -> Contents -> pictures.with_pictures()
Group, Contents, ... -> page.drawings(), page.render() -> report.html, and a side_folder where there are many pictures
"""
