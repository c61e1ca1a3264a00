"""The jobs that BigQuery would be given: texts, parameters, destinations, limits; the client is a stand-in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

bigquery = pytest.importorskip("google.cloud.bigquery")
exceptions = pytest.importorskip("google.api_core.exceptions")
sqlglot = pytest.importorskip("sqlglot")

from octopack_data.commitpack.bigquery_engine import BigQueryEngine, StageCost, connect, describe  # noqa: E402
from octopack_data.commitpack.metadata import STAGES, Reading, default_rules  # noqa: E402
from octopack_data.errors import DataError  # noqa: E402


@dataclass
class FakeClient:
    """Remembers what it is asked; tables exist once a query wrote them."""

    project: str = "proj"
    bytes_read: int = 3 * 2**40
    tables: dict[str, Any] = field(default_factory=dict)
    jobs: list[tuple[str, Any]] = field(default_factory=list)
    datasets: list[Any] = field(default_factory=list)
    exports: list[tuple[str, str, Any]] = field(default_factory=list)
    refuse: bool = False

    def query(self, text: str, job_config: Any, location: str | None = None) -> Any:
        if self.refuse:
            raise exceptions.Forbidden("no permission\nmore")
        parsed = sqlglot.parse_one(text, read="bigquery")
        names = [".".join(filter(None, (t.catalog, t.db, t.name))) for t in parsed.find_all(sqlglot.exp.Table)]
        for name in names:
            if name.startswith("proj.") and name not in self.tables:
                raise exceptions.NotFound(name)
        self.jobs.append((text, job_config))
        if not job_config.dry_run:
            table = job_config.destination
            name = f"{table.project}.{table.dataset_id}.{table.table_id}"
            assert f"{table.project}.{table.dataset_id}" in {f"{d.project}.{d.dataset_id}" for d in self.datasets}
            self.tables[name] = SimpleNamespace(name=name, description=None)
        return SimpleNamespace(total_bytes_processed=self.bytes_read, result=lambda: None)

    def get_table(self, name: str) -> Any:
        if name not in self.tables:
            raise exceptions.NotFound(name)
        return self.tables[name]

    def update_table(self, table: Any, fields: list[str]) -> None:
        assert fields == ["description"]

    def create_dataset(self, dataset: Any, exists_ok: bool) -> None:
        assert exists_ok
        self.datasets.append(dataset)

    def extract_table(self, name: str, uri: str, job_config: Any, location: str) -> Any:
        self.exports.append((name, uri, job_config))
        return SimpleNamespace(result=lambda: None)


def engine(client: FakeClient, **changes: Any) -> BigQueryEngine:
    return BigQueryEngine(client, "cp", default_rules(), **changes)  # type: ignore[arg-type]


def test_one_data_set_for_each_stage() -> None:
    client = FakeClient()
    costs = engine(client).run()
    assert [cost.stage for cost in costs] == list(STAGES)
    assert [d.dataset_id for d in client.datasets] == [f"cp_{stage.title}" for stage in STAGES]
    assert {d.location for d in client.datasets} == {"US"}
    asked = [config.dry_run for _, config in client.jobs]
    assert asked == [True, None] * 5  # the cost first, each time


def test_parameters_and_limits_of_a_job() -> None:
    client = FakeClient()
    config = engine(client, max_dollars=12.5).job_config(STAGES[0], dry_run=False).to_api_repr()["query"]
    assert config["maximumBytesBilled"] == str(2 * 2**40)
    assert config["writeDisposition"] == "WRITE_TRUNCATE"
    assert config["destinationTable"] == {
        "projectId": "proj",
        "datasetId": "cp_1_base",
        "tableId": "commits_table_base",
    }
    parameters = {p["name"]: p for p in config["queryParameters"]}
    assert parameters["licenses"]["parameterType"] == {"type": "ARRAY", "arrayType": {"type": "STRING"}}
    assert [v["value"] for v in parameters["licenses"]["parameterValue"]["arrayValues"]] == list(
        default_rules().licenses
    )
    assert parameters["longer_than"]["parameterType"] == {"type": "INT64"}
    assert parameters["longer_than"]["parameterValue"] == {"value": "5"}
    strict = engine(client).job_config(STAGES[4], dry_run=True).to_api_repr()
    assert strict["dryRun"] is True
    assert strict["query"]["useQueryCache"] is False
    (flag,) = strict["query"]["queryParameters"]
    assert (flag["name"], flag["parameterType"]["type"], flag["parameterValue"]["value"]) == (
        "count_all_entries",
        "BOOL",
        "false",
    )


def test_the_texts_read_the_public_tables_and_the_stage_before() -> None:
    client = FakeClient()
    texts = [engine(client).query(stage).sql for stage in STAGES]
    assert "`bigquery-public-data.github_repos.commits`" in texts[0] or "github_repos.commits" in texts[0]
    assert "proj.cp_1_base.commits_table_base" in texts[1].replace("`", "")
    assert "proj.cp_4_files.commits_table_dedup_files" in texts[4].replace("`", "")


def test_only_what_changed_is_run_again() -> None:
    client = FakeClient()
    engine(client).run()
    count = len(client.jobs)
    assert engine(client).run() == []
    assert len(client.jobs) == count
    strict = replace(engine(client), rules=replace(default_rules(), count_all_entries=True))
    assert [cost.stage.number for cost in strict.run()] == [5]
    literal = replace(engine(client), rules=replace(default_rules(), reading=Reading.LITERAL))
    assert [cost.stage.number for cost in literal.run()] == [1, 2, 3, 4, 5]


def test_costs_are_known_before_anything_is_billed() -> None:
    client = FakeClient()
    tool = engine(client, max_dollars=10.0)
    assert describe(tool.cost(STAGES[0])) == "reads 3,072.0 GiB, about $18.75"
    assert describe(tool.cost(STAGES[1])) == "cost known when the stage before it is there"
    with pytest.raises(DataError, match=r"3\.00 TiB, about \$18\.75; --max-dollars 10"):
        tool.run()
    assert all(config.dry_run for _, config in client.jobs)
    assert StageCost(STAGES[0], 2**40).dollars == 6.25


def test_export_to_parquet() -> None:
    client = FakeClient()
    engine(client).export("gs://bucket/meta/part-*.parquet")
    ((table, uri, config),) = client.exports
    assert table == "proj.cp_5_single_file.commits_table_single_file"
    assert uri == "gs://bucket/meta/part-*.parquet"
    assert config.destination_format == "PARQUET"
    for wrong in ("bucket/x-*.parquet", "gs://bucket/x.parquet", "gs://bucket/*.csv"):
        with pytest.raises(DataError, match="write it as gs://"):
            engine(client).export(wrong)


def test_a_refusal_is_one_line() -> None:
    with pytest.raises(DataError, match=r"BigQuery refused stage 1_base: 403 no permission$"):
        engine(FakeClient(refuse=True)).run()


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(*args: Any, **kwargs: Any) -> Any:
        raise DefaultCredentialsError("not found")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(DataError, match="gcloud auth application-default login"):
        connect("proj")
