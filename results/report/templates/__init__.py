"""Files of the HTML report: page, style and script; put together by `results.report.page`."""
