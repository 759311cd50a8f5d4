"""Make slides, read them back."""

from pptx import Presentation
from pptx.util import Inches

deck = Presentation()
slide = deck.slides.add_slide(deck.slide_layouts[0])
slide.shapes.title.text = "Hello, World!"
slide.placeholders[1].text = "python-pptx was here!"
box = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(0, 0, Inches(2), Inches(1))
box.text_frame.text = "in a box"
deck.save("test.pptx")
print([[shape.text_frame.text for shape in s.shapes] for s in Presentation("test.pptx").slides])
