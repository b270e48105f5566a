"""Defines the configuration: every key, its type and its default.

`defaults:` holds the settings of a source once, `sources:` override them. Only the models below
know keys, types and defaults; config.yaml explains them to people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..detection import detectors
from ..selection import Limits
from ..selection.budgets import Amounts
from ..selection.gates import Gates
from ..selection.regions import LEAST, Regions
from ..selection.sensitivity import Sensitivity
from ..selection.targets import LEAST_CONFIDENCE, Target, Targets
from ..units import Duration, Pixels, Size
from . import marked_yaml
from .field_types import (
    Address,
    CameraUrl,
    FileName,
    GroupName,
    IpNetwork,
    Listen,
    LocalPath,
    LookRate,
    MostKept,
    Number,
    PasswordPlace,
    PictureSize,
    Polygons,
    PublicUrl,
    SequenceRate,
    Share,
    TimePattern,
    Whole,
    ZoneName,
    zone,
)
from .marked_yaml import Place
from .secrets import behind_the_host, login_of, redacted, without_login


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # an input can be a password
        validate_default=False,
    )


class QuarantineSettings(_Section):
    """How much, and for how long, originals wait that `retire: move` took away."""

    max_size: Size = Field(default=5 * 10**9, ge=0)
    """Most bytes to hold; the oldest go first. 0 holds none."""
    max_age: Duration = Field(default=14 * 86400.0, ge=0)
    """Longest time to hold an original, in time that the machine runs. 0 holds none."""


class ThumbnailSettings(_Section):
    """How many small pictures of dropped frames of clips and cameras are held, and for how long."""

    max_size: Size = Field(default=0, ge=0)
    """Most bytes to hold; the oldest go first. 0 holds none."""
    max_age: Duration = Field(default=14 * 86400.0, ge=0)
    """Longest time to hold one, in time that the machine runs. 0 holds none."""


class StoreSettings(_Section):
    """Where kept frames and the ledger live."""

    path: LocalPath = Path("/var/lib/stillsift")
    """Directory of kept frames, quarantine and ledger."""
    min_free: Size = Field(default=10**9, ge=0)
    """Free space below which keeping stops and originals stay where they are."""
    format: Literal["jpeg", "png", "webp"] = "jpeg"
    """How frames of clips and cameras are written. Stills are kept byte for byte."""
    jpeg_quality: Whole = Field(default=95, ge=1, le=100)
    """Quality of JPEG and WebP frames, 1 to 100."""
    quarantine: QuarantineSettings = QuarantineSettings()
    """Where originals wait that `retire: move` took away."""
    thumbnails: ThumbnailSettings = ThumbnailSettings()
    """What people can still see of dropped frames."""
    keep_decisions: Duration = Field(default=90 * 86400.0, ge=0)
    """How long decisions about dropped and lost frames stay in the ledger, in time that the machine
    runs. 0: for ever."""


class CustomModel(_Section):
    """How to feed an ONNX embedder that has no entry in the manifest."""

    size: PictureSize = (224, 224)
    """Width and height that the model is given, in pixels."""
    layout: Literal["nhwc", "nchw"] = "nchw"
    """Order of the input's dimensions."""
    channels: Literal["rgb", "bgr"] = "rgb"
    """Order of the colours."""
    scale: Number = Field(default=1 / 255, gt=0)
    """Factor on the 0-255 values, before mean and std. Models with uint8 input take them raw."""
    mean: tuple[Number, Number, Number] = (0.485, 0.456, 0.406)
    """Subtracted from each channel after scaling, in the order of `channels`."""
    std: tuple[
        Annotated[Number, Field(gt=0)],
        Annotated[Number, Field(gt=0)],
        Annotated[Number, Field(gt=0)],
    ] = (0.229, 0.224, 0.225)
    """Divides each channel after the mean was subtracted."""
    embedding: str | None = None
    """Name of the pooled output; None: the only output with one vector per picture."""
    grid: str | None = None
    """Name of the output with a vector per cell; None: there is none, small objects are missed."""
    cell_limit: Number | None = Field(default=None, gt=0)
    """Distance from which a cell is no noise; None only while no custom model is used."""


class ModelSettings(_Section):
    """The network that tells one picture from another."""

    name: str = Field(default="auto", min_length=1)
    """A model of models/manifest.yaml; auto: the int8 trunk on a CPU, the full net on a GPU."""
    path: LocalPath | None = None
    """An ONNX file of your own, described by `custom`; None: a model of the manifest."""
    custom: CustomModel = CustomModel()
    """The description of the model at `path`."""
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; auto takes a GPU where one answers, cuda without a GPU is an error."""
    threads: Whole = Field(default=1, ge=1, le=256)
    """CPU threads for one picture."""


class SearchSettings(_Section):
    """A pair of ONNX files of your own, such as CLIP's, by which `find` understands texts."""

    image: LocalPath | None = None
    """The part that takes pictures; None: texts are searched for by their words."""
    text: LocalPath | None = None
    """The part that takes texts."""
    tokenizer: LocalPath | None = None
    """The tokenizer.json that belongs to it."""
    size: PictureSize = (224, 224)
    """Width and height that every picture is squeezed to, in pixels."""
    mean: tuple[Number, Number, Number] = (0.48145466, 0.4578275, 0.40821073)
    """Subtracted from red, green and blue from 0 to 1."""
    std: tuple[
        Annotated[Number, Field(gt=0)],
        Annotated[Number, Field(gt=0)],
        Annotated[Number, Field(gt=0)],
    ] = (0.26862954, 0.26130258, 0.27577711)
    """Divides what is left of them."""
    tokens: MostKept = Field(default=None, ge=2, le=4096)
    """Number of tokens that a text is padded to; None (`none`): what the file says."""


class DetectorSettings(_Section):
    """The network that finds objects, where a source asks for some."""

    path: LocalPath | None = None
    """An ONNX detector of your own, for all labels that it gives; None: those of the manifest."""
    kind: Literal["auto", "boxes", "yolov5", "yolov8", "end_to_end", "detr", "rtdetr"] = "auto"
    """What its outputs are; auto: told by their names and shapes."""
    labels: tuple[str, ...] | None = None
    """Labels of its classes, in their order; None: those that its file names."""
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; auto takes a GPU where one answers, cuda without a GPU is an error."""
    threads: Whole = Field(default=1, ge=1, le=256)
    """CPU threads for one picture."""


class TargetSettings(_Section):
    """An object that is looked for."""

    label: str = Field(min_length=1)
    """Label of the detector: person, car, face, ..."""
    confidence: Number = Field(default=LEAST_CONFIDENCE, gt=0, le=1)
    """Least confidence of the detector."""
    min_size: Number = Field(default=0.0, ge=0, le=1)
    """Least share of the picture that the object's box covers."""
    zone: Polygons = ()
    """Polygons of [x, y] in shares of width and height, one of which holds the middle of the box's
    lower edge; empty: anywhere."""

    @model_validator(mode="before")
    @classmethod
    def _by_label(cls, given: Any) -> Any:
        return {"label": given} if isinstance(given, str) else given

    @property
    def target(self) -> Target:
        return Target(self.label, self.confidence, self.min_size, self.zone)


class TriggerSettings(TargetSettings):
    """An object for which a frame is kept although nothing in it is new."""

    every: Duration = Field(default=10.0, ge=0)
    """Least stream time between two frames with it that are kept, for whatever reason."""
    uncertain: tuple[Number, Number] | None = None
    """Least and highest confidence between which the detector hesitates, instead of `confidence`;
    None: it has to be sure."""

    @field_validator("uncertain")
    @classmethod
    def _in_order(cls, given: tuple[float, float] | None) -> tuple[float, float] | None:
        if given is not None and not 0 < given[0] < given[1] <= 1:
            raise ValueError("must be two confidences above 0 and up to 1, the lower one first")
        return given

    @model_validator(mode="after")
    def _one_confidence(self) -> Self:
        if self.uncertain is not None and "confidence" in self.model_fields_set:
            raise ValueError("has confidence and uncertain, which stands for it; give one of them")
        return self

    @property
    def target(self) -> Target:
        least, most = self.uncertain or (self.confidence, 1.0)
        return Target(self.label, least, self.min_size, self.zone, most, self.every)


class MetricsSettings(_Section):
    """Prometheus metrics and health checks over HTTP."""

    listen: Listen = Address("127.0.0.1", 9478)
    """HOST:PORT of /metrics, /healthz and /readyz; None (`off`): not served."""
    web_config_file: LocalPath | None = None
    """Web configuration file as other Prometheus exporters have it; None: no TLS, no login."""


class ReviewSettings(_Section):
    """A page in the browser to look at what was decided, and to correct it."""

    listen: Listen = None
    """HOST:PORT of /review/; None (`off`): not served."""
    password_file: PasswordPlace | None = None
    """File that holds the password: absolute, or the name of a systemd credential."""
    public_url: PublicUrl | None = None
    """URL under which a reverse proxy shows it; None: there is no proxy before it."""
    trusted_proxies: tuple[IpNetwork, ...] = ("127.0.0.1", "::1")
    """Addresses and networks from which the proxy's connections come."""


class LogSettings(_Section):
    """What is told on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important line that is written."""
    format: Literal["text", "json"] = "text"
    """text for people and journald, json for log collectors."""


class RepairSettings(_Section):
    """What is put right in stills when they are kept; nothing by default."""

    orientation: bool = False
    """Whether EXIF orientation is applied to the pixels."""
    colour: Literal["keep", "rgb"] = "keep"
    """rgb: grey, palette, transparent, CMYK, 16 bits and floats become RGB of 8 bits."""
    suffix: bool = False
    """Whether a name that says another format than the bytes gets the suffix that fits."""
    longest_side: MostKept = Field(default=None, ge=1)
    """Most pixels of the longer side; larger ones are made smaller. None (`none`): any number."""
    format: Literal["keep", "jpeg", "png", "webp"] = "keep"
    """The one format of all stills; keep: each has its own."""

    def what(self, max_pixels: int) -> dict[str, Any]:
        """Returns the fields of a `store.repair.Repair`; `max_pixels`: as of the source."""
        return {
            "orientation": self.orientation,
            "colour": self.colour == "rgb",
            "suffix": self.suffix,
            "longest_side": self.longest_side,
            "format": None if self.format == "keep" else self.format,
            "max_pixels": max_pixels,
        }

    @property
    def rewrites(self) -> bool:
        """Tells whether what is kept of a still may have other bytes than its original."""
        asked = self.orientation or self.colour != "keep" or self.format != "keep"
        return asked or self.longest_side is not None


class ExampleSettings(_Section):
    """Pictures by which a source is cleaned."""

    positive: LocalPath | None = None
    """Folder of good examples, which a kept frame resembles; None: there is none."""
    negative: LocalPath | None = None
    """Folder of bad examples, which no kept frame resembles; None: there is none."""

    def __bool__(self) -> bool:
        """Tells whether there are any."""
        return self.positive is not None or self.negative is not None


class SourceSettings(_Section):
    """How one source is read and sifted."""

    rate: LookRate = "auto"
    """Frames analysed per second of stream time; None (`all`): every frame; auto: 5/s, and all of
    animated picture files and with `news: changes`. Stills are all read."""
    gallery: Whole = Field(default=32, ge=1, le=4096)
    """Number of frames kept last that a new frame is compared with, each of them."""
    novelty_limit: Number = Field(default=1.0, gt=0)
    """What the `novelty` of a decision has to exceed; 1 is what the rule was found with."""
    news: Literal["things", "changes"] = "things"
    """What is news on a time line: each new thing once, or every change that can be seen."""
    sensitivity: Literal["lowest", "low", "normal", "high", "highest"] = "normal"
    """How little must be new for a frame to be kept; higher keeps smaller things, and more."""
    ignore: Polygons = ()
    """Polygons of [x, y] in shares of width and height; what lies inside counts for nothing."""
    roi: Polygons = ()
    """Polygons of the same kind; what lies outside all counts for nothing. Empty: all may."""
    min_sharpness: Number = Field(default=0.6, ge=0, le=1)
    """Share of the scene's own usual sharpness below which a frame is blurred; 0: never."""
    min_brightness: Number = Field(default=0.0, ge=0, le=255)
    """Luma that the brightest hundredth of a frame must reach, else it is `dark`; 0: off."""
    max_brightness: Number = Field(default=255.0, ge=0, le=255)
    """Luma that the darkest hundredth of a frame may have, else it is `bright`; 255: off."""
    min_contrast: Number = Field(default=0.0, ge=0, le=127)
    """Contrast below which a frame is dropped as `low_information`, grey levels; 0: off."""
    max_wait: Duration = Field(default=1.0, ge=0)
    """Stream time that a moment with something new waits for a better frame of it."""
    max_silence: Duration = Field(default=4.0, ge=0)
    """Time beyond `max_wait`, and beyond the length of a clip, that a moment waits for the next
    file; after it, what waits is decided."""
    min_gap: Duration = Field(default=0.0, ge=0)
    """Least stream time between two kept frames; 0: none. Photographs have no such time."""
    max_per_minute: MostKept = Field(default=None, ge=1)
    """Most frames kept in a minute of their own time, UTC; None (`none`): no limit."""
    max_per_hour: MostKept = Field(default=None, ge=1)
    """Most frames kept in an hour of their own time, UTC; None (`none`): no limit."""
    max_per_day: MostKept = Field(default=None, ge=1)
    """Most frames kept in a day of their own time, UTC; None (`none`): no limit."""
    keep_ratio: Share = Field(default=None, gt=0, le=1)
    """Share of the analysed frames to keep, by how much must be new; None (`none`): all that is."""
    heartbeat: Duration = Field(default=0.0, ge=0)
    """Stream time without a kept frame after which one is kept, new or not; 0: never."""
    require: tuple[TargetSettings, ...] = ()
    """Objects of which one has to be seen in what is kept; empty: nothing has to be."""
    inhibit: tuple[TargetSettings, ...] = ()
    """Objects of which none may be seen in what is kept."""
    trigger: tuple[TriggerSettings, ...] = ()
    """Objects for which a frame of a time line is kept although nothing in it is new."""
    compare: Literal["scene", "object"] = "scene"
    """What has to be new in what is kept: the scene, or an object of `require` (else `trigger`)."""
    tags: bool = False
    """Whether what is kept is tagged with what it shows, where the full network runs."""
    anonymize: tuple[str, ...] = ()
    """Labels of objects that are covered in what is kept, as [face]; empty: nothing is covered."""
    examples: ExampleSettings = ExampleSettings()
    """Folders of good and bad pictures; what resembles the bad ones more is dropped."""
    audit: Number = Field(default=0.0, ge=0, le=1)
    """Share of the dropped frames that is laid aside to be judged by a person; 0: none."""
    alarms: bool = True
    """Whether the source itself is watched: frozen, covered, moved, out of focus, clock astray."""
    group: GroupName | None = None
    """Sources with the same name here share what they have kept; None: only its own counts."""
    repair: RepairSettings = RepairSettings()
    """What is put right in stills when they are kept; originals are never changed."""
    retire: Literal["leave", "move", "delete"] = "leave"
    """What becomes of an original once its decisions are recorded; move: into quarantine."""
    recursive: bool = True
    """Whether directories inside the directory are read too."""
    polling: bool = False
    """Look for new files by listing the directory, for network mounts without inotify."""
    settle: Duration = Field(default=2.0, ge=0)
    """Time for which a new file must stay unchanged before it counts as whole."""
    max_pixels: Pixels = Field(default=100 * 10**6, ge=1)
    """Largest still that is decoded, in pixels; a larger one fails by its header alone."""
    max_clip_pixels: Pixels = Field(default=36 * 10**6, ge=1)
    """Largest frame of a clip or camera that is decoded, in pixels."""
    filename_time: TimePattern | None = None
    """strptime pattern of the time in a file's name (with a slash: path); None: there is none."""
    exif_timeline: bool = False
    """Whether stills with an EXIF time lie on a time line, as those with a time in the name do."""
    sequence: SequenceRate = "auto"
    """Numbers per second of stills that are numbered as the frames of a clip; auto: recognised by
    `sift`; off: such stills are photographs."""
    timezone: ZoneName = "UTC"
    """Zone of times without one: of `filename_time` and of EXIF."""
    transport: Literal["tcp", "udp"] = "tcp"
    """How a camera's RTSP stream travels."""
    timeout: Duration = Field(default=10.0, gt=0)
    """Time without data, or without a picture after there was one, after which a camera counts as
    away and is connected anew."""
    queue: Whole = Field(default=8, ge=1, le=1024)
    """Live frames that may wait for analysis; the oldest is lost (and counted) when it is full."""

    @property
    def tz(self) -> tzinfo:
        """Gives `timezone` as Python's datetime wants it."""
        return zone(self.timezone)

    @property
    def looks_per_s(self) -> float | None:
        """Gives the frames analysed per second; None: every frame.

        Between two looks something can move, so every change is seen only where all are analysed.
        """
        if self.rate != "auto":
            return self.rate
        return None if self.news == "changes" else 5.0

    @property
    def animation_looks_per_s(self) -> float | None:
        """Gives the same for animated picture files, of which each picture may be another one."""
        return None if self.rate == "auto" else self.rate

    @property
    def sequence_rate(self) -> float | None:
        """Gives the rate of `sequence`, numbers per second; None: it names none."""
        return None if isinstance(self.sequence, str) else self.sequence

    @property
    def targets(self) -> Targets:
        """Gives what has to be seen in what is kept, and what must not be."""
        require, inhibit = (
            tuple(each.target for each in asked) for asked in (self.require, self.inhibit)
        )
        trigger = tuple(each.target for each in self.trigger)
        return Targets(require, inhibit, trigger, by_object=self.compare == "object")

    def limits(self, novelty: float) -> Limits:
        """Returns the limits of decisions; `novelty` is the embedder's own cell limit."""
        return Limits(
            novelty=novelty,
            asked=self.novelty_limit,
            min_sharpness=self.min_sharpness,
            max_wait_s=self.max_wait,
            gates=Gates(self.min_brightness, self.max_brightness, self.min_contrast),
            sensitivity=Sensitivity(self.sensitivity),
            every_change=self.news == "changes",
            regions=Regions(self.ignore, self.roi),
            targets=self.targets,
            amounts=Amounts(
                min_gap_s=self.min_gap,
                max_per_minute=self.max_per_minute,
                max_per_hour=self.max_per_hour,
                max_per_day=self.max_per_day,
                keep_ratio=self.keep_ratio,
                heartbeat_s=self.heartbeat,
            ),
        )


class SourceConfig(SourceSettings):
    """One directory or camera, with the settings that hold for it.

    In a `Config` every setting that the source does not give itself has the value of `defaults`;
    `model_fields_set` holds what the source gave itself.
    """

    name: FileName
    """Names its folder in the store and its label in metrics and logs."""
    directory: LocalPath | None = None
    """A directory of stills and clips, or one file; None: the source is a camera."""
    rtsp: CameraUrl | None = Field(default=None, repr=False)
    """URL of a camera, without user and password (those go to the keys below); None: none."""
    user: str | None = None
    """Who logs in at the camera; None: nobody."""
    password: SecretStr | None = None
    """The password itself, best as ${NAME}; None: see `password_file`."""
    password_file: PasswordPlace | None = None
    """File that holds the password: absolute, or the name of a systemd credential."""

    @model_validator(mode="before")
    @classmethod
    def _one_place(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, Mapping):
            return given
        if info.context is None:  # `yaml_file` looks for conflicts itself, to report all of them
            for _key, reason in conflicts(given):
                raise ValueError(reason)
        return without_login(given)

    def under(self, defaults: SourceSettings) -> Self:
        """Returns the same source with `defaults` for each setting that it does not give itself."""
        own = self.model_fields_set
        values = {
            key: getattr(defaults if key in SourceSettings.model_fields else self, key)
            for key in type(self).model_fields
            if key not in own
        }
        given = {key: getattr(self, key) for key in own}
        return self.model_construct(_fields_set=set(own), **values, **given)


class Config(_Section):
    """Everything that config.yaml can say."""

    store: StoreSettings = StoreSettings()
    model: ModelSettings = ModelSettings()
    detector: DetectorSettings = DetectorSettings()
    search: SearchSettings = SearchSettings()
    metrics: MetricsSettings = MetricsSettings()
    review: ReviewSettings = ReviewSettings()
    log: LogSettings = LogSettings()
    defaults: SourceSettings = SourceSettings()
    sources: tuple[SourceConfig, ...] = ()
    """Directories and cameras; each may override any key of `defaults`."""

    @field_validator("sources")
    @classmethod
    def _resolved(
        cls, sources: tuple[SourceConfig, ...], info: ValidationInfo
    ) -> tuple[SourceConfig, ...]:
        defaults = info.data.get("defaults", SourceSettings())
        return tuple(source.under(defaults) for source in sources)

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if info.context is None:  # as in SourceConfig
            for _path, reason in contradictions(self.model_dump()):
                raise ValueError(reason)
            for path, reason in impossible(self):
                raise ValueError(f"{path[-1]} {reason}")
        return self

    def to_yaml(self) -> str:
        """Returns the configuration as YAML that `yaml_file` reads back, without its secrets."""
        return marked_yaml.write(_document(self))

    @property
    def hash(self) -> str:
        """Gives 16 hex digits that change when anything but a secret changes."""
        return hash_of(self.to_yaml())


def hash_of(text: str) -> str:
    """Returns the `Config.hash` of a configuration that `to_yaml` gave as this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def siblings(name: str, sources: Iterable[SourceConfig]) -> tuple[str, ...]:
    """Returns the other sources of a source's group, in the order of the configuration."""
    groups = {source.name: source.group for source in sources}
    group = groups.get(name)
    if group is None:
        return ()
    return tuple(other for other, its in groups.items() if its == group and other != name)


def conflicts(source: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yields contradictions between the keys of one source, each of which is valid by itself."""
    camera = source.get("rtsp") is not None
    if camera and source.get("directory") is not None:
        yield ("directory",), "and rtsp exclude each other; make two sources of them"
    if not camera and source.get("directory") is None:
        yield (), "names neither a directory nor an rtsp address"
    url_user, url_password = login_of(source.get("rtsp"))
    has = {key: source.get(key) is not None for key in ("user", "password", "password_file")}
    if not camera:
        for key in (key for key in has if has[key]):
            yield (key,), "belongs to a camera, and this source names no rtsp address"
        return
    if url_password is not None and "@" in behind_the_host(source["rtsp"]):
        # A password with / ? or # in it would end there, and its rest be shown as the path.
        yield (
            ("rtsp",),
            "has an @ behind the host; in a password write %2F %3F %23 %40 for / ? # @, or use "
            "password_file",
        )
    if has["user"] and url_user is not None:
        yield ("user",), "is in the rtsp address too; say it once"
    if has["password"] and has["password_file"]:
        yield ("password_file",), "and password exclude each other"
    for key in ("password", "password_file"):
        if has[key] and url_password is not None:
            yield (key,), "is given, and the rtsp address holds a password too; say it once"
        elif has[key] and not has["user"] and url_user is None:
            yield (key,), "is given, and nobody to log in with it; add the key user"


def contradictions(given: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yields contradictions between sections or sources, each of which is valid by itself."""
    model = _section(given, "model")
    custom = _section(model, "custom")
    described = [key for key in ("embedding", "grid", "cell_limit") if custom.get(key)]
    if model.get("path") is None and described:
        yield ("model", "path"), "is missing, and custom describes a model of your own"
    if model.get("path") is not None and custom.get("cell_limit") is None:
        yield (
            ("model", "custom", "cell_limit"),
            "is missing; a model of your own needs its limit",
        )
    review = _section(given, "review")
    if review.get("listen") not in (None, "off") and review.get("password_file") is None:
        yield (
            ("review", "password_file"),
            "is missing; without one everybody could see the pictures",
        )
    detector = _section(given, "detector")
    for key in ("labels", "kind"):
        if detector.get("path") is None and detector.get(key) not in (None, "auto"):
            yield ("detector", key), "describes a detector of your own, and path names none"
    search = _section(given, "search")
    files = ("image", "text", "tokenizer")
    lacking = [key for key in files if search.get(key) is None]
    if lacking and len(lacking) < len(files):
        yield ("search", lacking[0]), "is missing; image, text and tokenizer belong together"
    sources = given.get("sources")
    sources = sources if isinstance(sources, list | tuple) else ()
    store = Path(str(_section(given, "store").get("path") or StoreSettings().path))
    first: dict[str, int] = {}
    for index, source in enumerate(sources):
        if not isinstance(source, dict):
            continue
        name, directory = source.get("name"), source.get("directory")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield ("sources", index, "name"), f"is {name!r}, as that of an earlier source"
        if directory is None:
            continue
        place, root = _real(Path(str(directory))), _real(store)
        if place != root and place.is_relative_to(root):
            yield (
                ("sources", index, "directory"),
                f"is {str(directory)!r} and lies in the store ({store}), which is never read; name "
                "another directory, or move the store",
            )
        elif root.is_relative_to(place):
            yield (
                ("sources", index, "directory"),
                f"is {str(directory)!r} and holds the store ({store}), so that kept frames would "
                "be read again; move one of the two",
            )


def _real(path: Path) -> Path:
    """Returns the path without links; as it is, where it leads nowhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no path at all
        return path


def impossible(config: Config) -> Iterator[tuple[Place, str]]:
    """Yields the places of settings that are valid each, and with which nothing could be kept."""
    places: list[tuple[Place, SourceSettings]] = [(("defaults",), config.defaults)]
    places += [(("sources", index), source) for index, source in enumerate(config.sources)]
    yield from _blind(places)
    yield from _unknown_labels(config.detector, places)
    for place, settings in places:
        named = bool(settings.require or settings.trigger)
        alone = (
            place != ("defaults",) or not config.sources
        )  # sources may name what defaults do not
        if settings.compare == "object" and alone and not named:
            yield (
                (*place, "compare"),
                "is object, and neither require nor trigger names any; name those to be compared, "
                "as in `require: [person, vehicle]`",
            )
        good, bad = settings.examples.positive, settings.examples.negative
        if good is not None and bad is not None and _real(good) == _real(bad):
            yield (*place, "examples", "negative"), "is the folder of the good examples, too"


def _unknown_labels(
    detector: DetectorSettings, places: list[tuple[Place, SourceSettings]]
) -> Iterator[tuple[Place, str]]:
    """Yields the places of labels that no detector gives, as far as that is known here."""
    if detector.path is not None and detector.labels is None:
        return  # the file says which; it is asked when it is opened
    asked: list[tuple[Place, str]] = []
    for place, settings in places:
        for key in ("require", "inhibit", "trigger", "anonymize"):
            if place != ("defaults",) and key not in settings.model_fields_set:
                continue
            for index, each in enumerate(getattr(settings, key)):
                at: Place = (*place, key, index)
                asked.append((at, each) if isinstance(each, str) else ((*at, "label"), each.label))
    if not asked:
        return
    known = {label for spec in detectors().values() for label in spec.known}
    if detector.labels is not None:
        known |= set(detector.labels)
    for place, label in asked:
        if label not in known:
            near = get_close_matches(label, sorted(known), 1)
            hint = (
                f"did you mean {near[0]}?" if near else "`stillsift models list --json` names them"
            )
            yield place, f"is {label!r}, which no detector finds; {hint}"


def _blind(places: list[tuple[Place, SourceSettings]]) -> Iterator[tuple[Place, str]]:
    """Yields the places where `ignore` and `roi` together leave too little of the picture."""
    for place, settings in places:
        share = Regions(settings.ignore, settings.roi).share
        if share < LEAST:
            key = "ignore" if settings.ignore else "roi"
            yield (
                (*place, key),
                f"leaves {share:.1%} of the picture to be looked at; make "
                f"{'ignore smaller or roi larger' if settings.ignore else 'roi larger'}, at least "
                f"{LEAST:.0%} has to remain",
            )


def _section(given: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = given.get(key)
    return value if isinstance(value, dict) else {}


def _document(config: Config) -> dict[str, Any]:
    """Returns the configuration as plain values, without secrets.

    Of a source it holds only what the source says itself.
    """
    document = config.model_dump(mode="json", exclude={"sources"})
    document["sources"] = []
    for source in config.sources:
        own = source.model_dump(mode="json", exclude_unset=True, exclude={"password"})
        if source.rtsp is not None:
            own["rtsp"] = redacted(source.rtsp)
        place_first = sorted(own, key=lambda key: key in SourceSettings.model_fields)
        document["sources"].append({key: own[key] for key in place_first})
    return document
