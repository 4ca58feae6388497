import pytest

from burnish.analyze.mistakes import hint_of_text, with_metrics_in_brackets


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("config.lr = 0.01", "'=' is written '=='"),
        ("a && b", "'&&' is written 'and'"),
        ("a & b", "'&' is written 'and'"),
        ("a || b", "'||' is written 'or'"),
        ("!pinned", "'!' is written 'not'"),
        ("a <> 3", "'<>' is written '!='"),
        ("a == 1 AND b == 2", "'AND' is written 'and'"),
        ("name LIKE '%sft%'", "'like' is written 'in': 'text' in name"),
        ("config[lr] < 1", "quotes are missing: config['lr']"),
        ("config.data[a-b] < 1", "quotes are missing: config.data['a-b']"),
        ("config.lora-rank < 1", "a key with a hyphen goes in brackets: config['lora-rank']"),
        ("config.class.x < 1", "a key that Python reserves goes in brackets: config['class.x']"),
        ("a <= 1 and b != 2 and c >= 3 and d == 4", ""),
        ("name == 'a = b && c || !d like config[lr]'", ""),
        ("config.data[0] < 1", ""),
        ("", ""),
    ],
)
def test_what_other_languages_write_is_told_in_this_one(text, hint):
    assert hint_of_text(text) == hint


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("summary.eval/loss < 5", "summary['eval/loss'] < 5"),
        ("summary.eval/loss.min < 5", "summary['eval/loss'].min < 5"),
        ("-summary.eval/loss", "-summary['eval/loss']"),
        ("summary.eval/loss/step", "summary['eval/loss']/step"),
        ("summary.eval/loss/2 + summary.eval/loss", "summary['eval/loss/2'] + summary['eval/loss']"),
        ("summary.eval/loss-1", "summary['eval/loss']-1"),
        ("summary.loss/step", "summary.loss/step"),
        ("summary.eval/los", "summary.eval/los"),
        ("name == 'summary.eval/loss'", "name == 'summary.eval/loss'"),
    ],
)
def test_metric_as_tables_spell_it_is_put_in_brackets_where_there_is_one(text, read):
    assert with_metrics_in_brackets(text, {"eval/loss", "eval/loss/2", "loss"}.__contains__) == read
