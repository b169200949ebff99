"""vecnet graph: a topology as a picture.

| file | subject |
|---|---|
| picture.py | what is drawn: boxes, lines between them, frames around those of one machine; as data |
| mermaid.py | … as Mermaid's flowchart, which GitHub and GitLab draw |
| dot.py | … as Graphviz's language, and by its program as SVG |
"""
