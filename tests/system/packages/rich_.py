"""A table and markup on a console that is no terminal."""

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

console = Console(width=40, force_terminal=False)
table = Table(title="Films")
table.add_column("Year", style="cyan")
table.add_column("Title")
table.add_row("1977", "[bold]A New Hope[/bold]")
console.print(table)
console.print(Syntax("print(1)", "python"))
