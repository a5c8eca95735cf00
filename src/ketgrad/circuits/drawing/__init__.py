"""Pictures of ops: one layout, drawn as text, as SVG and by matplotlib.

layout -> text, figure -> picture. What the public calls, `kg.draw`, is `draw.py` above the circuit.
"""
