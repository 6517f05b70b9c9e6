"""What loadtest/compare measures: a module for each topic.

`measure(args)` gives figures, `tables(figures)` what people read of them.
"""
