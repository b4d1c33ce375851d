"""The charts of a report: each module draws one kind as an SVG that follows the page's colours."""
