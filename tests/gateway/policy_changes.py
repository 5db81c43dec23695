"""Ways to change policies on disk. Each turns `read:x` from allowed to denied."""

from __future__ import annotations

import mmap
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ALLOW = "{name: desk, rules: [{effect: allow, actions: ['read:*']}]}\n"
DENY = "{name: desk, rules: [{effect: deny,  actions: ['read:*']}]}\n"
assert len(ALLOW) == len(DENY)


@dataclass(frozen=True)
class Way:
    """Makes a folder of policies below an empty one, and changes it.

    Args:
        make: Returns the folder to watch.
        change: Changes what it contains.
    """

    make: Callable[[Path], Path]
    change: Callable[[Path], None]

    @property
    def name(self) -> str:
        return self.change.__name__


WAYS: list[Way] = []


def way(make: Callable[[Path], Path]) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    def add(change: Callable[[Path], None]) -> Callable[[Path], None]:
        WAYS.append(Way(make, change))
        return change

    return add


def folder(root: Path, name: str = "policies", text: str = ALLOW) -> Path:
    made = root / name
    made.mkdir()
    (made / "desk.yaml").write_text(text)
    return made


def linked_folder(root: Path) -> Path:
    folder(root, "one")
    folder(root, "two", DENY)
    (root / "policies").symlink_to("one")
    return root / "policies"


def linked_file(root: Path) -> Path:
    (root / "allow.txt").write_text(ALLOW)
    (root / "deny.txt").write_text(DENY)
    made = root / "policies"
    made.mkdir()
    (made / "desk.yaml").symlink_to("../allow.txt")
    return made


def config_map(root: Path) -> Path:
    """As Kubernetes mounts one: files link to `..data`, which links to a folder with a date."""
    made = root / "policies"
    made.mkdir()
    folder(made, "..2026_01")
    (made / "..data").symlink_to("..2026_01")
    (made / "desk.yaml").symlink_to("..data/desk.yaml")
    return made


def linked_parent(root: Path) -> Path:
    for name, text in (("one", ALLOW), ("two", DENY)):
        (root / name).mkdir()
        folder(root / name, text=text)
    (root / "release").symlink_to("one")
    return root / "release" / "policies"


def several(root: Path) -> Path:
    made = folder(root)
    for number in range(150):
        text = f"{{name: other-{number}, rules: [{{effect: allow, actions: ['other:*']}}]}}"
        (made / f"other-{number}.yaml").write_text(text)
    return made


def with_json(root: Path) -> Path:
    made = root / "policies"
    made.mkdir()
    (made / "desk.json").write_text('{"name":"desk","rules":[{"effect":"allow","actions":["read:*"]}]}')
    return made


def _swap(link: Path, target: str) -> None:
    fresh = link.with_name("fresh-link")
    fresh.symlink_to(target)
    fresh.replace(link)


@way(folder)
def written_in_place(root: Path) -> None:
    (root / "policies/desk.yaml").write_text(DENY)


@way(folder)
def written_in_place_with_the_same_times(root: Path) -> None:
    file = root / "policies/desk.yaml"
    before = file.stat()
    file.write_text(DENY)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@way(folder)
def written_by_a_clock_that_is_behind(root: Path) -> None:
    file = root / "policies/desk.yaml"
    file.write_text(DENY)
    os.utime(file, (1, 1))


@way(folder)
def written_by_a_clock_that_is_ahead(root: Path) -> None:
    file = root / "policies/desk.yaml"
    file.write_text(DENY)
    os.utime(file, (9_999_999_999, 9_999_999_999))


@way(folder)
def replaced_by_a_rename(root: Path) -> None:
    fresh = root / "policies/.desk.yaml.swp"
    fresh.write_text(DENY)
    fresh.replace(root / "policies/desk.yaml")


@way(folder)
def replaced_from_elsewhere_with_the_same_times(root: Path) -> None:
    file, fresh = root / "policies/desk.yaml", root / "fresh"
    fresh.write_text(DENY)
    before = file.stat()
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(file)


@way(folder)
def moved_to_a_backup_and_written(root: Path) -> None:
    file = root / "policies/desk.yaml"
    file.rename(root / "policies/desk.yaml~")
    file.write_text(DENY)


@way(folder)
def written_through_a_memory_map(root: Path) -> None:
    with (root / "policies/desk.yaml").open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[:] = DENY.encode()


@way(folder)
def removed(root: Path) -> None:
    (root / "policies/desk.yaml").unlink()


@way(folder)
def removed_and_created(root: Path) -> None:
    (root / "policies/desk.yaml").unlink()
    (root / "policies/desk.yaml").write_text(DENY)


@way(folder)
def renamed_to_another_policy_file(root: Path) -> None:
    (root / "policies/desk.yaml").rename(root / "policies/other.yml")
    (root / "policies/other.yml").write_text(DENY)


@way(folder)
def hidden(root: Path) -> None:
    (root / "policies/desk.yaml").rename(root / "policies/.desk.yaml")


@way(folder)
def moved_into_a_folder_below(root: Path) -> None:
    (root / "policies/below").mkdir()
    (root / "policies/desk.yaml").rename(root / "policies/below/desk.yaml")


@way(folder)
def another_policy_added(root: Path) -> None:
    (root / "policies/second.yaml").write_text(DENY.replace("desk", "second"))


@way(folder)
def another_policy_linked(root: Path) -> None:
    (root / "second").write_text(DENY.replace("desk", "second"))
    (root / "policies/second.yaml").symlink_to("../second")


@way(folder)
def another_policy_linked_hard(root: Path) -> None:
    (root / "second").write_text(DENY.replace("desk", "second"))
    os.link(root / "second", root / "policies/second.yaml")


def _hard(root: Path) -> Path:
    made = folder(root)
    os.link(made / "desk.yaml", root / "outside")
    return made


@way(_hard)
def written_through_a_hard_link(root: Path) -> None:
    (root / "outside").write_text(DENY)


@way(linked_folder)
def linked_folder_swapped(root: Path) -> None:
    _swap(root / "policies", "two")


@way(linked_folder)
def linked_folder_removed_and_linked(root: Path) -> None:
    (root / "policies").unlink()
    (root / "policies").symlink_to("two")


@way(linked_folder)
def linked_folder_replaced_by_a_folder(root: Path) -> None:
    (root / "policies").unlink()
    (root / "two").rename(root / "policies")


@way(linked_folder)
def target_of_a_linked_folder_replaced(root: Path) -> None:
    (root / "one").rename(root / "old")
    (root / "two").rename(root / "one")


@way(linked_folder)
def file_of_a_linked_folder_written(root: Path) -> None:
    (root / "one/desk.yaml").write_text(DENY)


@way(linked_parent)
def link_above_the_folder_swapped(root: Path) -> None:
    _swap(root / "release", "two")


@way(linked_file)
def linked_file_swapped(root: Path) -> None:
    _swap(root / "policies/desk.yaml", "../deny.txt")


@way(linked_file)
def target_of_a_linked_file_written(root: Path) -> None:
    (root / "allow.txt").write_text(DENY)


@way(linked_file)
def target_of_a_linked_file_replaced(root: Path) -> None:
    (root / "deny.txt").replace(root / "allow.txt")


@way(linked_file)
def target_of_a_linked_file_removed(root: Path) -> None:
    (root / "allow.txt").unlink()


@way(linked_file)
def link_made_to_lead_to_itself(root: Path) -> None:
    _swap(root / "policies/desk.yaml", "desk.yaml")


@way(config_map)
def config_map_updated(root: Path) -> None:
    folder(root / "policies", "..2026_02", DENY)
    _swap(root / "policies/..data", "..2026_02")
    shutil.rmtree(root / "policies/..2026_01")


@way(config_map)
def config_map_emptied(root: Path) -> None:
    (root / "policies/..2026_02").mkdir()
    _swap(root / "policies/..data", "..2026_02")
    (root / "policies/desk.yaml").unlink()


@way(folder)
def folder_renamed_and_replaced(root: Path) -> None:
    (root / "policies").rename(root / "old")
    folder(root, text=DENY)


@way(folder)
def folder_removed_and_created(root: Path) -> None:
    shutil.rmtree(root / "policies")
    folder(root, text=DENY)


@way(folder)
def folder_removed(root: Path) -> None:
    shutil.rmtree(root / "policies")


@way(folder)
def folder_replaced_by_a_file(root: Path) -> None:
    (root / "policies").rename(root / "old")
    (root / "policies").write_text(DENY)


@way(folder)
def file_replaced_by_a_fifo(root: Path) -> None:
    (root / "policies/desk.yaml").unlink()
    os.mkfifo(root / "policies/desk.yaml")


@way(folder)
def file_replaced_by_a_folder(root: Path) -> None:
    (root / "policies/desk.yaml").unlink()
    (root / "policies/desk.yaml").mkdir()


@way(folder)
def file_replaced_by_a_device(root: Path) -> None:
    (root / "policies/desk.yaml").unlink()
    (root / "policies/desk.yaml").symlink_to("/dev/zero")


@way(folder)
def file_replaced_by_a_socket(root: Path) -> None:
    (root / "policies/desk.yaml").unlink()
    make_socket(root / "policies/desk.yaml")


@way(folder)
def fifo_added_beside_a_change(root: Path) -> None:
    os.mkfifo(root / "policies/a.yaml")
    (root / "policies/desk.yaml").write_text(DENY)


@way(folder)
def file_made_unreadable(root: Path) -> None:
    (root / "policies/desk.yaml").unlink()
    (root / "policies/desk.yaml").symlink_to("/proc/self/mem")  # also for root, who may read any file


@way(folder)
def file_broken(root: Path) -> None:
    (root / "policies/desk.yaml").write_text("{name: desk}")


@way(folder)
def file_grown_too_large(root: Path) -> None:
    (root / "policies/desk.yaml").write_text(DENY + "#" * 1_048_577)


@way(folder)
def file_truncated(root: Path) -> None:
    os.truncate(root / "policies/desk.yaml", 0)


@way(folder)
def name_taken_twice(root: Path) -> None:
    (root / "policies/second.yaml").write_text(DENY)


@way(several)
def one_of_many_written_with_the_same_times(root: Path) -> None:
    written_in_place_with_the_same_times(root)


@way(several)
def many_removed_and_one_written(root: Path) -> None:
    for file in (root / "policies").glob("other-*.yaml"):
        file.unlink()
    written_in_place(root)


@way(with_json)
def json_written(root: Path) -> None:
    (root / "policies/desk.json").write_text('{"name":"desk","rules":[{"effect":"deny","actions":["*"]}]}')


def make_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)
