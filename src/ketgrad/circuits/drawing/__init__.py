"""Pictures of circuits: one layout, drawn as text, as SVG and by matplotlib."""
