"""The table of an evaluation."""

from recollect.cli.measures import show_measures
from recollect.evaluation.result import Evaluation

ENTRY = {"uauc_users": 1200, "rows": 97000, "seconds": 2.5}
FLOOR = {"auc": 0.7352, "uauc": 0.7075, "log_loss": 0.6, "ece": None, "intervals": {"auc": (0.73, 0.74)}, **ENTRY}
OURS = {"auc": 0.8, "uauc": 0.71, "log_loss": 0.5, "ece": 0.01, "intervals": {"auc": (0.79, 0.81)}, **ENTRY}


def test_table_has_floors_first_intervals_and_stars_at_the_best(capsys):
    occasion = {"run": "run", "protocol": "rella-ml1m", "part": "valid"}
    show_measures(Evaluation.model_validate({**occasion, **OURS, "floors": {"item mean": FLOOR}}))
    title, header, floor, interval, ours, our_interval = capsys.readouterr().out.splitlines()
    assert title.startswith("rella-ml1m, valid: 97,000 rows in 2.5 s")
    assert header.split() == ["AUC", "UAUC", "log", "loss", "ECE", "users", "in", "UAUC"]
    assert floor.split() == ["item", "mean", ".7352", ".7075", ".6000", "–", "1,200"]
    assert ours.split() == ["recollect", "*", ".8000", "*", ".7100", "*", ".5000", "*", ".0100", "1,200"]
    assert [interval.strip(), our_interval.strip()] == [".7300 – .7400", ".7900 – .8100"]
