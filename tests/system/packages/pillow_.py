"""Draw, resize, filter, save in several formats and read back."""

import io

from PIL import Image, ImageDraw, ImageFilter

image = Image.new("RGB", (64, 48), "white")
ImageDraw.Draw(image).rectangle((8, 8, 40, 30), fill=(255, 0, 0))
for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
    store = io.BytesIO()
    image.save(store, kind)
    again = Image.open(io.BytesIO(store.getvalue())).convert("RGB")
    red, green, blue = again.getpixel((20, 20))
    print(kind, again.size, red > 240 and green < 20 and blue < 20)
print(image.resize((32, 24)).rotate(90, expand=True).size)
print(image.filter(ImageFilter.GaussianBlur(2)).getpixel((0, 0)), image.histogram()[255])
