import csv
import io
import json
import re
from pathlib import Path

import dice
import duckdb
import fake_scorer
import pyarrow.parquet as pq
import pytest
import samples

from dice_core.policy import Policy
from jobs.config import ScoreSettings
from jobs.decide import decide
from jobs.errors import Refusal
from jobs.evaluate import evaluate
from jobs.query import query
from jobs.render import as_parquet, render
from jobs.review import review
from jobs.score import score

README = (Path(__file__).parents[2] / "README.md").read_text()
EXAMPLES = [
    sql.replace('\\"', '"') for sql in re.findall(r'^dice-inspect query \S+ "(.*)"$', README, re.MULTILINE)
]

HOSTILE = "else/[red]:smile: \x1b[31mred\x07\x9b2J\u202e.jpg"
FORMULA = "else/=1+2.jpg"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("query")
    (folder / "model.npz").write_bytes(fake_scorer.MODEL)
    listed = [*samples.members(40), (FORMULA, samples.jpeg(91)), (HOSTILE, samples.jpeg(92))]
    lot = samples.write_tar(folder / "lot.tar", listed)
    settings = ScoreSettings((lot,), str(folder / "model.npz"), str(folder / "out"), "serial", shard_size=16)
    score(settings, evaluate=fake_scorer.evaluate, load=fake_scorer.load)
    return folder / "out"


@pytest.fixture
def ask(out):
    return lambda sql, form="json": render(query(str(out), sql), form)


def test_the_rows_are_the_table_scores(ask, out):
    assert (
        json.loads(ask('SELECT * EXCLUDE lot_shift FROM scores ORDER BY "index"'))
        == samples.rows(out).to_pylist()
    )


def test_counts_what_it_is_asked_for(ask):
    sql = "SELECT status, count(*) AS n FROM scores GROUP BY status ORDER BY status"
    assert ask(sql, "csv") == '"status","n"\n"ignored",1\n"ok",38\n"rejected",3\n'
    assert json.loads(ask(sql)) == [
        {"status": "ignored", "n": 1},
        {"status": "ok", "n": 38},
        {"status": "rejected", "n": 3},
    ]
    table = ask(sql, "table").splitlines()
    assert [line.strip("│┃ ").split() for line in table if line[0] in "│┃"] == [
        ["status", "┃", "n"],
        ["ignored", "│", "1"],
        ["ok", "│", "38"],
        ["rejected", "│", "3"],
    ]


@pytest.mark.parametrize("sql", ["WITH few AS (FROM scores LIMIT 3) FROM few", "FROM scores LIMIT 3"])
def test_other_forms_of_one_select_are_taken(ask, sql):
    assert len(json.loads(ask(sql))) == 3


def test_no_rows(ask):
    sql = "SELECT member, ncc FROM scores WHERE status = 'none'"
    assert ask(sql, "csv") == '"member","ncc"\n'
    assert json.loads(ask(sql)) == []
    assert "member" in ask(sql, "table")


def test_a_job_without_parts_has_an_empty_table(tmp_path, out):
    (tmp_path / "_job.json").write_bytes((out / "_job.json").read_bytes())
    assert query(str(tmp_path), "SELECT * FROM scores").num_rows == 0


def test_columns_of_one_name_stay_apart(ask):
    sql = "SELECT 1 AS x, 2 AS x, 3 AS x_1"
    assert json.loads(ask(sql)) == [{"x": 1, "x_1": 2, "x_1_1": 3}]
    assert ask(sql, "csv").splitlines()[1] == "1,2,3"
    assert ask(sql, "table").splitlines()[-2].split() == ["│", "1", "│", "2", "│", "3", "│"]


def refuse_constant(word):
    raise AssertionError(f"{word} is no JSON")


def test_json_is_strict_and_its_numbers_are_numbers(ask):
    told = ask("SELECT 'nan'::DOUBLE AS a, ['inf'::DOUBLE, 1] AS b, sum(1) AS c, 1.5::DECIMAL(4, 2) AS d")
    (row,) = json.loads(told, parse_constant=refuse_constant)
    assert row == {"a": None, "b": [None, 1.0], "c": 1, "d": 1.5}


def test_lists_and_structures_are_json_in_csv(ask):
    told = ask("SELECT [1, 2] AS l, {'a': 'x'} AS s, NULL::INTEGER[] AS n, 5 AS i", "csv")
    assert list(csv.reader(io.StringIO(told)))[1] == ["[1, 2]", '{"a": "x"}', "", "5"]


# Names in archives are others' words


def test_the_table_shows_hostile_names_as_they_are_spelt(ask):
    shown = ask("SELECT member FROM scores WHERE member LIKE '%smile%'", "table")
    assert r"else/[red]:smile: \x1b[31mred\x07\x9b2J\u202e.jpg" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_the_table_shows_hostile_column_names_as_they_are_spelt(ask):
    shown = ask('SELECT 1 AS "[red]\x1b[31m"', "table")
    assert r"[red]\x1b[31m" in shown
    assert "\x1b" not in shown


def test_json_holds_names_unchanged_and_nothing_that_steers_a_terminal(ask):
    told = ask("SELECT member FROM scores WHERE folder = 'else'")
    assert {HOSTILE, FORMULA} < {row["member"] for row in json.loads(told)}
    assert all(letter.isprintable() or letter == "\n" for letter in told)


def test_text_in_csv_is_no_formula_and_steers_no_terminal(ask):
    told = ask("SELECT '=cmd()' AS f, '-1' AS t, -1 AS i, '05' AS l, 'ä' AS a", "csv")
    assert list(csv.reader(io.StringIO(told)))[1] == ["'=cmd()", "'-1", "-1", "05", "ä"]
    shown = ask("SELECT member FROM scores WHERE member LIKE '%smile%'", "csv")
    assert r"\x1b[31mred\x07\x9b2J\u202e.jpg" in shown
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_long_cells_are_shown_whole(ask):
    assert ask("SELECT repeat('ab', 200) AS long", "table").count("ab") == 200


# What the SQL cannot do


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("a,b\n1,2\n")
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM read_csv_auto('{path}')",
        "SELECT * FROM read_text('{path}')",
        "SELECT * FROM read_blob('{path}')",
        "SELECT * FROM read_parquet('{folder}/*.parquet')",
        "SELECT * FROM read_json('{path}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM '{path}'",
        "SELECT * FROM parquet_scan('{path}')",
        "SELECT * FROM query('FROM read_csv(''{path}'')')",
        "SELECT count(*) FROM scores WHERE member IN (SELECT content FROM read_text('{path}'))",
        "SELECT * FROM sniff_csv('{path}')",
        "SELECT * FROM json_execute_serialized_sql('{{}}')",
        "SELECT * FROM query_table('scores')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM enable_logging(storage='file', storage_path='{folder}/log.csv')",
        "SELECT * FROM arrow_scan(0::POINTER, 0::POINTER, 0::POINTER)",
        "SELECT (SELECT max(f.file) FROM GLOB('{folder}/*') f) FROM scores",
        "WITH other AS (SELECT * FROM Read_Text('{path}')) SELECT * FROM other",
    ],
)
def test_reads_no_file(ask, secret, sql):
    plain = sql.format(path=secret, folder=secret.parent)
    with pytest.raises(Refusal) as refused:
        ask(plain)
    assert "\n" not in str(refused.value)


def test_what_the_files_hold_is_there_for_one_who_may(secret):
    """The refusals above are the locks' doing, not a wrong path's."""
    assert duckdb.read_csv(str(secret)).fetchall() == [(1, 2)]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY scores TO '{folder}/out.csv'",
        "CALL enable_logging()",
        "USE memory",
        "VACUUM",
        "PIVOT scores ON status USING count(*)",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/new.db'",
        "EXPORT DATABASE '{folder}/new'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "PRAGMA database_list",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW scores",
        "DELETE FROM scores",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY scores TO '{folder}/out.csv'",
        "EXPLAIN ANALYZE SELECT 1",
        "",
        ";",
        "SELECT",
        "no SQL at all",
        "SELECT * FROM other",
        "SELECT nothing FROM scores",
        "SELECT member::INTEGER FROM scores",
    ],
)
def test_takes_one_select_and_nothing_else(ask, secret, out, sql):
    before = samples.names(secret.parent), samples.names(out)
    with pytest.raises(Refusal) as refused:
        ask(sql.format(folder=secret.parent))
    assert str(refused.value).startswith("query")
    assert "\n" not in str(refused.value)
    assert (samples.names(secret.parent), samples.names(out)) == before


def test_sees_nothing_but_the_rows(ask):
    told = json.loads(ask("SELECT table_name FROM information_schema.tables"))
    assert {row["table_name"] for row in told} == {"scores", "parts", "scores_0", "rows_0", "parts_0"}
    # A variable of the program is no table.
    with pytest.raises(Refusal):
        ask("SELECT * FROM connection")


def test_refuses_what_is_no_job(tmp_path):
    with pytest.raises(Refusal, match="not a job folder"):
        query(str(tmp_path), "SELECT 1")


def test_refuses_an_unknown_format(out):
    with pytest.raises(Refusal, match="--format xml"):
        render(query(str(out), "SELECT 1"), "xml")


# The other tables


@pytest.fixture(scope="module")
def judged(dice_model, tmp_path_factory):
    """Two jobs of dice, one with thresholds of its own and a corrected label."""
    folder = tmp_path_factory.mktemp("judged")
    for name in ("one", "two"):
        listed = [*dice.bad(3, seed=len(name)), *dice.good(3, seed=7), ("00/empty.jpg", b"")]
        lot = samples.write_tar(folder / f"{name}.tar", listed)
        score_for_real(ScoreSettings((lot,), dice_model, str(folder / "jobs" / name), "serial"))
    out = str(folder / "jobs" / "two")
    (row,) = query(out, "SELECT content_hash FROM scores WHERE label = 'ano' LIMIT 1").to_pylist()
    (folder / "c.csv").write_text(f"content_hash,correction\n{row['content_hash']},good\n")
    review(out, str(folder / "c.csv"), 0.0)
    decide(out, Policy.parse("value=1000"), 0.0)
    return folder / "jobs"


def score_for_real(settings):
    score(settings, evaluate=evaluate)


def counted(place, column):
    sql = f"SELECT {column} AS what, count(*) AS n FROM verdicts GROUP BY what"  # noqa: S608
    return {row["what"]: row["n"] for row in query(str(place), sql).to_pylist()}


def test_verdicts_are_those_that_count_now(judged):
    assert counted(judged / "one", "verdict") == {"anomaly": 3, "good": 9}
    assert counted(judged / "one", "decided_by") == {"model": 12}
    assert counted(judged / "two", "verdict") == {"good": 12}
    assert counted(judged / "two", "decided_by") == {"decision": 11, "review": 1}
    assert counted(judged / "two", "threshold") == {1000.0: 12}
    labels = counted(judged / "two", "label = 'ano'")
    assert labels == {True: 2, False: 10}


def test_faces_have_the_thresholds_that_were_decided_for_them(judged):
    path = judged / "two" / "_decision-0001.json"
    text = path.read_text()
    told = json.loads(text)
    path.write_text(json.dumps({**told, "faces": {**told["faces"], "07": 0.5}}))
    try:
        sql = "SELECT DISTINCT face, threshold, verdict FROM verdicts WHERE decided_by = 'decision'"
        told = query(str(path.parent), sql).to_pylist()
    finally:
        path.write_text(text)
    rows = {(row["face"], row["threshold"], row["verdict"]) for row in told}
    assert rows == {("00", 1000.0, "good"), ("04", 1000.0, "good"), ("07", 0.5, "anomaly")}


def test_parts_are_listed_with_their_archives(judged):
    (part,) = query(str(judged / "one"), "SELECT * FROM parts").to_pylist()
    assert (judged / "one" / part["name"]).stat().st_size == part["size"]
    assert part["archive"].endswith("/one.tar")
    assert (part["first"], part["rows"]) == (0, 13)


def test_a_glob_of_jobs_is_asked_at_once(judged):
    sql = "SELECT job, count(*) AS n FROM {} GROUP BY job ORDER BY job"
    for table, each in (("scores", 13), ("verdicts", 12), ("parts", 1)):
        assert query(f"{judged}/*", sql.format(table)).to_pylist() == [
            {"job": str(judged / name), "n": each} for name in ("one", "two")
        ]
    for none in ("*.tar", "none*"):
        with pytest.raises(Refusal, match=r"matches no job folder"):
            query(f"{judged.parent}/{none}", "SELECT 1")


def test_the_lots_shift_is_in_every_row_of_it(judged):
    shift = pq.read_table(judged / "one" / "_lots.parquet")["lot_shift"].to_pylist()
    told = query(str(judged / "one"), "SELECT DISTINCT lot_shift FROM scores").to_pylist()
    assert [row["lot_shift"] for row in told] == shift


def test_an_answer_as_parquet_is_the_answer(judged):
    answer = query(str(judged / "one"), "SELECT * FROM scores")
    assert pq.read_table(io.BytesIO(as_parquet(answer))).equals(answer)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_readme_are_answered(judged, example):
    assert query(str(judged / "one"), example).num_columns


def test_the_recipes_of_the_readme_work(judged):
    (recipe,) = re.findall(r"```python\n(.*?)\n```", README, re.DOTALL)
    known = {}
    exec(recipe.replace("night-rows", str(judged / "one")), known)  # noqa: S102 - the README's own words
    assert known["worst"].height == 3
    assert known["rejected"].num_rows == 1
