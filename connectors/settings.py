"""What every source may set; each channel's own model adds its keys."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

DAY_S = 86_400.0
CENTURY_S = 36_525 * DAY_S
"""Beyond some such bound there is no such moment in any calendar."""


class SourceSettings(BaseModel):
    """One ``[sources.NAME]`` table. Unknown keys are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: str
    enabled: bool = True
    poll_every_s: float = Field(60.0, gt=0, le=DAY_S, description="seconds between two looks at a stream")
    lookback_s: float = Field(DAY_S, ge=0, le=CENTURY_S, description="how far a first visit reads back, seconds")
    overlap_s: float = Field(
        900.0, ge=0, le=CENTURY_S, description="how far each look reads behind its cursor, seconds"
    )
    max_first_pages: int = Field(5, ge=1, description="pages a first visit reads at most")
    timeout_s: float = Field(
        30.0, gt=0, le=45, description="a request gives up after this, seconds; well before its errand's claim lapses"
    )
    settle_after_s: float | None = Field(
        None, ge=0, le=DAY_S, description="how long reads may lag behind a write, seconds"
    )

    @property
    def lookback(self) -> timedelta:
        return timedelta(seconds=self.lookback_s)

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.overlap_s)
