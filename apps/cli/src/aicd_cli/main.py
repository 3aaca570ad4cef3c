"""The command line: which commands there are."""

import typer

from aicd_cli.commands import demo, doctor, jobs, migrate, org, run

app = typer.Typer(
    name="aicd",
    help="AI-CD turns an issue into a reviewed pull request.",
    epilog="Example:  aicd run --repo . --issue-file issue.md",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.command("run", epilog=run.EXAMPLE)(run.command)
app.command("jobs", epilog=jobs.LIST_EXAMPLE)(jobs.list_command)
app.command("show", epilog=jobs.SHOW_EXAMPLE)(jobs.show_command)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.command)
app.command("demo", epilog=demo.EXAMPLE)(demo.command)
app.command("migrate", epilog=migrate.EXAMPLE)(migrate.command)
app.add_typer(org.app, name="org")
