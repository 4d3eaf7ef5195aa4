"""In silico labeling: fluorescent labels from transmitted-light z-stacks."""

__version__ = "0.1.0"
