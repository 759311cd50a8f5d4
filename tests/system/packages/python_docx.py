"""Write a document, read it back."""

import docx

document = docx.Document()
document.add_heading("Document Title", 0)
paragraph = document.add_paragraph("A plain paragraph having some ")
paragraph.add_run("bold").bold = True
table = document.add_table(rows=1, cols=2)
table.rows[0].cells[1].text = "Qty"
document.save("demo.docx")
again = docx.Document("demo.docx")
print(
    [p.text for p in again.paragraphs],
    again.tables[0].cell(0, 1).text,
    again.paragraphs[1].runs[1].bold,
)
