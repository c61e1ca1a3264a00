"""Runs the five stages in BigQuery: what each costs first, then one data set for each stage, then parquet files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octopack_data.commitpack.metadata import SOURCE_TABLES, STAGES, Query, Rules, Stage, stage_query
from octopack_data.errors import DataError

if TYPE_CHECKING:
    from google.cloud import bigquery

PUBLIC_TABLES = "bigquery-public-data.github_repos"

DOLLARS_PER_TIB = 6.25
"""On-demand price of bytes read, in the US multi-region, where the public tables are."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """Bytes a stage reads, and their price; None where the tables it reads are not there yet."""

    stage: Stage
    bytes_read: int | None

    @property
    def dollars(self) -> float | None:
        """The price on demand."""
        return None if self.bytes_read is None else self.bytes_read / 2**40 * DOLLARS_PER_TIB


@dataclass(frozen=True, slots=True)
class BigQueryEngine:
    """Runs the stages with the user's own client.

    Attributes:
        client: a `google.cloud.bigquery.Client`.
        prefix: data sets are named `PREFIX_1_base`, `PREFIX_2_dedup`, ..., in the client's project.
        rules: parameters of the queries.
        source: project and data set of the public tables.
        max_dollars: no stage that costs more is started.
    """

    client: bigquery.Client
    prefix: str
    rules: Rules
    source: str = PUBLIC_TABLES
    max_dollars: float = 50.0

    def table(self, stage: Stage) -> str:
        """Return the full name of a stage's table."""
        return f"{self.client.project}.{self.prefix}_{stage.title}.{stage.table}"

    def query(self, stage: Stage) -> Query:
        """Return the text and the parameters of a stage."""
        names = {table: f"{self.source}.{table}" for table in SOURCE_TABLES}
        names |= {other.table: self.table(other) for other in STAGES}
        return stage_query(stage, self.rules, "bigquery", names)

    def job_config(self, stage: Stage, *, dry_run: bool) -> bigquery.QueryJobConfig:
        """Return the configuration of a stage's job."""
        from google.cloud import bigquery

        parameters = [_parameter(name, value) for name, value in self.query(stage).parameters.items()]
        if dry_run:
            return bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, query_parameters=parameters)
        return bigquery.QueryJobConfig(
            destination=self.table(stage),
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            query_parameters=parameters,
            maximum_bytes_billed=int(self.max_dollars / DOLLARS_PER_TIB * 2**40),
            labels={"made-by": "octopack", "stage": stage.title.replace("_", "-")},
        )

    def cost(self, stage: Stage) -> StageCost:
        """Ask BigQuery how many bytes a stage reads; nothing is run or billed.

        Raises:
            DataError: BigQuery refused the query for another reason than a missing table.
        """
        from google.api_core.exceptions import GoogleAPIError, NotFound

        try:
            job = self.client.query(self.query(stage).sql, job_config=self.job_config(stage, dry_run=True))
        except NotFound:
            return StageCost(stage, None)
        except GoogleAPIError as error:
            raise _refused(stage, error) from error
        return StageCost(stage, job.total_bytes_processed)

    def is_done(self, stage: Stage) -> bool:
        """Say whether a stage's table was made by this query with these parameters."""
        from google.api_core.exceptions import NotFound

        try:
            return bool(self.client.get_table(self.table(stage)).description == self._mark(stage))
        except NotFound:
            return False

    def _mark(self, stage: Stage) -> str:
        import hashlib

        import orjson

        before = [[self.query(s).sql, dict(self.query(s).parameters)] for s in STAGES if s.number <= stage.number]
        return "octopack " + hashlib.sha256(orjson.dumps(before, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def run(self, *, report: Callable[[str], None] = lambda line: None) -> list[StageCost]:
        """Run the stages that are missing or changed; return what they read.

        Raises:
            DataError: a stage costs more than allowed, or BigQuery refused it.
        """
        from google.api_core.exceptions import GoogleAPIError
        from google.cloud import bigquery

        costs = []
        for stage in STAGES:
            if self.is_done(stage):
                report(f"stage {stage.title} is there already: {self.table(stage)}")
                continue
            cost = self.cost(stage)
            if cost.dollars is not None and cost.dollars > self.max_dollars:
                raise DataError(
                    f"stage {stage.title} reads {(cost.bytes_read or 0) / 2**40:,.2f} TiB, about ${cost.dollars:,.2f}; "
                    f"--max-dollars {self.max_dollars:g} does not allow it. Raise it to go on"
                )
            report(f"stage {stage.title}: {describe(cost)}")
            try:
                dataset = bigquery.Dataset(f"{self.client.project}.{self.prefix}_{stage.title}")
                dataset.location = "US"  # where the public tables are; a query cannot cross locations
                self.client.create_dataset(dataset, exists_ok=True)
                self.client.query(
                    self.query(stage).sql, job_config=self.job_config(stage, dry_run=False), location="US"
                ).result()
                table = self.client.get_table(self.table(stage))
                table.description = self._mark(stage)
                self.client.update_table(table, ["description"])
            except GoogleAPIError as error:
                raise _refused(stage, error) from error
            costs.append(cost)
        return costs

    def export(self, uri: str) -> None:
        """Write the result as parquet files to a bucket (`gs://bucket/folder/*.parquet`).

        Raises:
            DataError: not such an address, or BigQuery refused.
        """
        from google.api_core.exceptions import GoogleAPIError
        from google.cloud import bigquery

        if not uri.startswith("gs://") or not uri.endswith(".parquet") or uri.count("*") != 1:
            raise DataError(f"--export {uri}: write it as gs://BUCKET/FOLDER/name-*.parquet")
        config = bigquery.ExtractJobConfig()  # type: ignore[no-untyped-call]
        config.destination_format = bigquery.DestinationFormat.PARQUET
        config.compression = bigquery.Compression.SNAPPY
        try:
            self.client.extract_table(self.table(STAGES[-1]), uri, job_config=config, location="US").result()
        except GoogleAPIError as error:
            raise _refused(STAGES[-1], error) from error


def describe(cost: StageCost) -> str:
    """Return a cost in words."""
    if cost.bytes_read is None or cost.dollars is None:
        return "cost known when the stage before it is there"
    return f"reads {cost.bytes_read / 2**30:,.1f} GiB, about ${cost.dollars:,.2f}"


def connect(project: str) -> bigquery.Client:
    """Return a client for a project.

    Raises:
        DataError: the library is not installed, or there are no credentials.
    """
    try:
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import bigquery
    except ModuleNotFoundError as error:
        raise DataError("BigQuery's library is not installed; run: pip install 'octopack[bigquery]'") from error
    try:
        return bigquery.Client(project=project or None)
    except (DefaultCredentialsError, OSError) as error:
        raise DataError(
            f"no Google Cloud credentials ({str(error).splitlines()[0]}); "
            "run: gcloud auth application-default login, and give --project"
        ) from error


def _parameter(name: str, value: Any) -> bigquery.ArrayQueryParameter | bigquery.ScalarQueryParameter:
    from google.cloud import bigquery

    if isinstance(value, list):
        return bigquery.ArrayQueryParameter(name, "STRING", value)
    kind = {bool: "BOOL", int: "INT64", str: "STRING"}[type(value)]
    return bigquery.ScalarQueryParameter(name, kind, value)


def _refused(stage: Stage, error: Exception) -> DataError:
    return DataError(f"BigQuery refused stage {stage.title}: {str(error).splitlines()[0]}")
