"""`ztag policy COMMAND`: policies without a server, one file a command."""

import typer

from ztag_extauthz.cli.policy import bench, check, compile, eval, explain, fmt_check, reads, test  # noqa: A004

app = typer.Typer(help="Try, test and understand policies without a server.", no_args_is_help=True)
app.command(name="eval")(eval.evaluate)
app.command(name="explain")(explain.explain)
app.command(name="check")(check.check)
app.command(name="test")(test.run_tests)
app.command(name="compile")(compile.show)
app.command(name="reads")(reads.reads)
app.command(name="bench")(bench.bench)
app.command(name="fmt-check")(fmt_check.fmt_check)
