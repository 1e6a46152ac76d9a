from perilune.investigation import tree
from tests.build import at, process, table


def grow(*rows: dict[str, object]) -> tree.Forest:
    return tree.grow(table("DeviceProcessEvents", *rows))


def names(nodes: tuple[tree.ProcessNode, ...]) -> list[str]:
    return ["  " * node.depth + node.name for node in nodes]


def test_a_child_hangs_below_the_newest_earlier_start_of_its_parents_pid() -> None:
    forest = grow(
        process(50, 1, "/usr/sbin/nginx", 0),
        process(60, 50, "/bin/sh", 10),
        process(61, 60, "/usr/bin/lua5.4", 11),
    )
    nodes, cut = tree.prune(forest, [node.key for node in forest.nodes.values() if node.name == "lua5.4"], 10)
    assert names(nodes) == ["", "  nginx", "    sh", "      lua5.4"]
    assert cut == 0


def test_a_reused_pid_is_not_the_old_process() -> None:
    forest = grow(
        process(60, 1, "/usr/bin/vim", 0),
        process(60, 1, "/bin/bash", 100),
        process(61, 60, "/usr/bin/lua5.4", 101),
        process(62, 60, "/usr/bin/id", 50),
    )
    by_name = {node.name: node for node in forest.nodes.values()}
    assert forest.nodes[by_name["lua5.4"].parent or ""].name == "bash"
    assert forest.nodes[by_name["id"].parent or ""].name == "vim"


def test_programs_that_one_process_becomes_are_a_chain() -> None:
    forest = grow(
        process(57, 1, "/usr/bin/timeout", 0),
        process(58, 57, "/usr/bin/env", 1, "env lua ./x.lua"),
        process(58, 57, "/bin/bash", 1, "bash /usr/bin/lua-any ./x.lua"),
        process(58, 57, "/usr/bin/lua5.2", 1, "lua ./x.lua"),
        process(59, 58, "/bin/sh", 2),
    )
    by_name = {node.name: node for node in forest.nodes.values()}
    assert by_name["bash"].parent == by_name["env"].key
    assert by_name["lua5.2"].parent == by_name["bash"].key
    assert by_name["sh"].parent == by_name["lua5.2"].key


def test_a_sensors_own_process_id_outranks_the_pid() -> None:
    forest = grow(
        process(60, 1, r"C:\a\cmd.exe", 0, ProcessUniqueId="{AA}", XPlatform="windows"),
        process(60, 1, r"C:\a\calc.exe", 5, ProcessUniqueId="{BB}", XPlatform="windows"),
        process(61, 60, r"C:\a\lua.exe", 9, ProcessUniqueId="{CC}", InitiatingProcessUniqueId="{AA}"),
    )
    assert forest.nodes["{cc}"].parent == "{aa}"


def test_a_parent_without_a_record_is_known_by_its_childs_word() -> None:
    forest = grow(process(61, 60, "/usr/bin/lua5.4", 9, InitiatingProcessFolderPath="/usr/sbin/redis-server"))
    (lua,) = [node for node in forest.nodes.values() if node.name == "lua5.4"]
    parent = forest.nodes[lua.parent or ""]
    assert (parent.pid, parent.path, parent.event) == (60, "/usr/sbin/redis-server", None)


def test_a_pid_whose_program_is_not_the_one_the_child_names_is_not_its_parent() -> None:
    forest = grow(
        process(60, 1, r"C:\Windows\notepad.exe", 0, XPlatform="windows"),
        process(61, 60, r"C:\x\lua.exe", 9, InitiatingProcessFolderPath=r"C:\Windows\explorer.exe"),
    )
    (lua,) = [node for node in forest.nodes.values() if node.name == "lua.exe"]
    assert forest.nodes[lua.parent or ""].path == r"C:\Windows\explorer.exe"


def test_an_anchor_stops_below_what_starts_unrelated_things() -> None:
    forest = grow(
        process(2, 1, "/usr/sbin/cron", 0),
        process(50, 2, "/bin/sh", 1),
        process(51, 50, "/usr/bin/lua5.4", 2),
    )
    by_name = {node.name: node.key for node in forest.nodes.values()}
    assert tree.anchor(forest, by_name["lua5.4"]) == by_name["sh"]


def test_an_ancestor_of_which_only_a_pid_is_known_joins_nothing() -> None:
    forest = grow(process(50, 9, "/bin/bash", 1), process(60, 9, "/usr/bin/lua5.4", 2))
    tops = {tree.anchor(forest, node.key) for node in forest.nodes.values() if node.event}
    assert len(tops) == 2


def test_a_loop_of_parents_ends() -> None:
    forest = grow(
        process(1, 2, "/a", 0, ProcessUniqueId="{A}", InitiatingProcessUniqueId="{B}"),
        process(2, 1, "/b", 0, ProcessUniqueId="{B}", InitiatingProcessUniqueId="{A}"),
    )
    assert [node.key for node in forest.ancestors("{a}")] == ["{b}"]
    nodes, _ = tree.prune(forest, ["{a}", "{b}"], 10)
    assert len(nodes) <= 2


def test_what_is_cut_from_a_tree_is_counted_and_findings_stay() -> None:
    children = [process(100 + n, 50, "/usr/bin/id", 2 + n) for n in range(20)]
    forest = grow(process(50, 1, "/usr/bin/lua5.4", 1), *children)
    (lua,) = [node.key for node in forest.nodes.values() if node.name == "lua5.4"]
    nodes, cut = tree.prune(forest, [lua], 5)
    assert lua in {node.key for node in nodes}
    assert len(nodes) == 5
    assert len(nodes) + cut == len(forest.nodes)


def test_an_event_finds_the_process_that_acted() -> None:
    forest = grow(process(50, 1, "/usr/bin/lua5.4", 1))
    row = {"Timestamp": at(5), "InitiatingProcessId": 50, "RemoteIP": "192.0.2.1"}
    key = forest.actor(row)
    assert key is not None
    assert forest.nodes[key].name == "lua5.4"
    assert forest.actor({"Timestamp": at(0), "InitiatingProcessId": 50}) is None
