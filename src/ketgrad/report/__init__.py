"""What a person reads: the page `report.html`, its charts, and the terminal's table and progress display."""
