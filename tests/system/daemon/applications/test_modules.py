"""Modules: shared objects that the daemon loads, checks, freezes for a generation, and survives."""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from support import fastcgi, openmetrics
from support.marks import ROOT_ONLY
from support.modules import HEAD, SANITIZED, settings_for
from support.processes import BUILD, IS_SANITIZED, ROOT, end, is_alive, spawn
from support.programs import Ctl, environment
from support.waiting import PATIENCE, wait_until

# What it answers is what it was built with; a setting comes from its section.
CINEMA = (
    HEAD
    + """
#ifndef ANSWER
#define ANSWER "first"
#endif
static struct ones_app *kept;

static void hello(struct ones_request *req)
{
	const char *setting = ones_setting(kept, "greeting");

	ones_reply_json(req, 200, json_pack("{s:s, s:s}", "answer", ANSWER, "greeting", setting != NULL ? setting : ""));
}

__attribute__((no_sanitize("undefined"), no_sanitize("address"))) static void fault(struct ones_request *req)
{
	(void)req;
	*(volatile int *)NULL = 1;
}

static void loop(struct ones_request *req)
{
	(void)req;
	for (volatile int again = 1; again;)
		;
}

static void wrong(struct ones_request *req)
{
	ones_log("cinema_wrong", "it is number %d", 7);
	ones_reply_problem(req, 500, "internal", "As it was asked to.");
}

static void page(struct ones_request *req)
{
	ones_reply_page(req, 200, "film.html", json_pack("{s:s}", "title", "A film"));
}

static void script(struct ones_request *req)
{
	ones_reply_file(req, "film.js", "text/javascript");
}

static bool setup(struct ones_app *app)
{
	kept = app;
	ones_route(app, &(struct ones_route){.path = "/hello", .get = hello, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/fault", .get = fault, .needs = ONES_NEEDS_DATABASE});
	ones_route(app, &(struct ones_route){.path = "/loop", .get = loop, .needs = ONES_NEEDS_DATABASE});
	ones_route(app, &(struct ones_route){.path = "/wrong", .get = wrong, .needs = ONES_NEEDS_DATABASE});
	ones_route(app, &(struct ones_route){.path = "/page", .get = page});
	ones_route(app, &(struct ones_route){.path = "/script", .get = script});
	return true;
}

static bool start(struct ones_app *app)
{
	return ones_setting(app, "refuses_to_start") == NULL;
}

static void stop(struct ones_app *app)
{
	(void)app;
	ones_log("cinema_stopped", "%s", "as it should");
}

ONES_MODULE(.name = "cinema", .version = "1.2", MORE .setup = setup, .start = start, .stop = stop);
"""
)
NOTHING = HEAD + 'ONES_MODULE(.name = "cinema");\n'

def get(daemon, path):
    return daemon.ask(path=path, REMOTE_ADDR="127.0.0.1")


def hello(daemon, path="/cinema/hello"):
    return json.loads(get(daemon, path).body)


def status(daemon):
    return json.loads(get(daemon, "/session/status").body)


# ---- What a module can do --------------------------------------------------------------------------------------------


def test_module_is_loaded_with_its_routes_below_its_name_and_its_settings(new_daemon, build):
    daemon = new_daemon(settings_for(build(CINEMA), **{"cinema.greeting": "welcome ; to all"})).start()
    assert hello(daemon) == {"answer": "first", "greeting": "welcome"}
    assert get(daemon, "/session/hello").status == 404
    assert get(daemon, "/cinemahello").status == 404
    daemon.stop()
    # In each of the workers, and not in the process that checked it.
    assert len(daemon.lines_of("cinema_stopped")) == 2
    assert "module=cinema" in daemon.lines_of("cinema_stopped")[0]


@pytest.mark.parametrize("prefix,path", [("/films/all", "/films/all/hello"), ("/", "/hello"), ("", "/hello")])
def test_prefix_of_a_module_is_a_setting_and_the_longest_one_wins(new_daemon, build, prefix, path):
    daemon = new_daemon(settings_for(build(CINEMA), **{"cinema.prefix": prefix})).start()
    assert hello(daemon, path)["answer"] == "first"
    assert get(daemon, "/cinema/hello").status == 404
    assert get(daemon, "/session/health").status == 200
    assert get(daemon, "/session/hello").status == 404


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_modules_are_root_s_also_for_a_daemon_that_has_given_up_root(new_daemon, build):
    daemon = new_daemon({"server.user": "nobody"}, modules=[build(CINEMA)]).start()
    assert hello(daemon)["answer"] == "first"
    daemon.take_module(build(CINEMA, flags=['-DANSWER="second"']))
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: hello(daemon)["answer"] == "second", "the rebuilt module")


def test_several_modules_stand_beside_each_other(new_daemon, build):
    other = build(CINEMA.replace('"cinema"', '"theatre"'), "theatre", flags=['-DANSWER="stage"'])
    daemon = new_daemon(settings_for(build(CINEMA), other)).start()
    assert (hello(daemon)["answer"], hello(daemon, "/theatre/hello")["answer"]) == ("first", "stage")


def test_module_can_be_written_in_cpp(new_daemon, build):
    source = """
#include "onesession.h"
#include <string>

static void hello(struct ones_request *req)
{
	std::string answer = std::string("C") + "++";
	ones_reply_json(req, 200, json_pack("{s:s}", "answer", answer.c_str()));
}

static bool note(const struct ones_event *event, void *)
{
	struct ones_rows *rows;
	std::string name = std::string("is_") + "there";

	if (ones_sql(event->db, &rows, "SELECT $1::text || $2::bigint AS it", ONES_VALUES(ONES_TEXT(name.c_str()), ONES_INT(7))) != ONES_RESULT_OK)
		return false;
	ones_log("cinema_told", "%s %s of %s", event->name, ones_text(rows, 0, "it"), json_string_value(json_object_get(event->data, "by")));
	return true;
}

static enum ones_result tell_all(struct ones_db *db, void *)
{
	return ones_emit(db, "cinema.told", json_pack("{s:s}", "by", "C++"));
}

static void tell(struct ones_request *req)
{
	enum ones_result result = ones_transact(ones_db(req), tell_all, nullptr);

	ones_reply_empty(req, result == ONES_RESULT_OK ? 204 : 500);
}

static bool setup(struct ones_app *app)
{
	struct ones_route route = {}, told = {};
	struct ones_receiver receiver = {};

	route.path = "/hello";
	route.get = hello;
	ones_route(app, &route);
	told.path = "/tell";
	told.get = tell;
	ones_route(app, &told);
	ones_signal(app, "told");
	receiver.name = "note";
	receiver.phase = ONES_IN_TRANSACTION;
	receiver.call = note;
	ones_connect_to(app, "cinema.told", &receiver);
	return true;
}

ONES_MODULE(.name = "cinema", .version = "17", .setup = setup);
"""
    daemon = new_daemon(settings_for(build(source, compiler="g++", flags=["-std=c++17"]))).start()
    assert hello(daemon) == {"answer": "C++"}
    assert get(daemon, "/cinema/tell").status == 204
    daemon.await_line("cinema_told", 'message="cinema.told is_there7 of C++"')


def test_pages_and_files_of_a_module_come_from_the_folder_beside_it(new_daemon, build):
    module = build(CINEMA, more='.pages="pages",')
    pages = module.parent / "pages"
    pages.mkdir()
    (pages / "film.html").write_text("{{>title.html}} at {{module_prefix}}, {{prefix}}{{>brand.html}}")
    (pages / "title.html").write_text("<b>{{title}}</b>")
    (pages / "film.js").write_bytes(b"a\0b{{c}}")
    daemon = new_daemon(settings_for(module, **{"login.site_name": "The site"})).start()
    page = get(daemon, "/cinema/page").body.decode()
    assert page.startswith("<b>A film</b> at /cinema, /session") and "The site" in page
    assert get(daemon, "/cinema/script").body == b"a\0b{{c}}"


def test_daemon_exports_what_the_header_declares_and_nothing_else():
    header = re.sub(r"/\*.*?\*/", "", (ROOT / "daemon/onesession.h").read_text(), flags=re.S)
    declared = set(re.findall(r"\b(ones_[a-z_0-9]+)\(", header)) - {"ones_handler"}
    declared -= set(re.findall(r"static inline [^(]*\b(ones_[a-z_0-9]+)\(", header))
    # Those of the test kit are in its library.
    declared = {name for name in declared if not name.startswith("ones_test_")}
    command = ["nm", "-D", "--defined-only", str(BUILD / "onesessiond")]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    functions = {words[2] for words in map(str.split, listed.splitlines()) if words[1] in "TtWi"}
    # A sanitizer exports its own.
    if SANITIZED:
        functions = {name for name in functions if name.startswith("ones_")}
    assert functions == declared


# ---- What is refused -------------------------------------------------------------------------------------------------


def refused_at_start(new_daemon, settings):
    """The reason, which is on standard error, also when the log is elsewhere; the exit status is 78."""
    daemon = new_daemon(settings)
    daemon.settings["log.to"] = str(daemon.folder / "elsewhere")
    tried = subprocess.run(daemon.command("-t"), capture_output=True, text=True, timeout=60, env=environment())
    daemon.process = spawn(daemon.command(), daemon.log, env=environment())
    assert daemon.wait() == 78, daemon.log_text()
    said = daemon.log_text().strip().removeprefix("onesessiond: ")
    assert tried.returncode == 78 and tried.stderr.strip().removeprefix("onesessiond: ") == said
    assert "start_failed" in (daemon.folder / "elsewhere").read_text()
    assert not os.path.exists(daemon.path)
    return said


REFUSED = {
    "other_abi": (
        HEAD + "const struct ones_module ones_module = {.abi = 99, .size = sizeof(struct ones_module)};",
        "it was built for ABI 99, and this daemon has ABI 1: build it anew",
    ),
    "other_size": (
        HEAD + 'const struct ones_module ones_module = {.abi = ONES_ABI, .size = 8, .name = "cinema"};',
        "its struct ones_module has 8 bytes",
    ),
    "no_symbol": (HEAD + "int something;", "it has no symbol ones_module"),
    "missing_function": (
        HEAD + "void ones_of_another_time(void); bool f(struct ones_app *app) { (void)app; ones_of_another_time(); "
        'return true; } ONES_MODULE(.name = "cinema", .setup = f);',
        "undefined symbol: ones_of_another_time",
    ),
    "wrong_name": (HEAD + 'ONES_MODULE(.name = "Cinema!");', "its name is not a letter"),
    "section_of_the_daemon": (HEAD + 'ONES_MODULE(.name = "server");', "[server] is a section of the daemon's own"),
    "like_the_daemon": (HEAD + 'ONES_MODULE(.name = "session");', "module session: there are two modules of this name"),
    "constructor_aborts": (
        NOTHING + "__attribute__((constructor)) static void f(void) { abort(); }",
        "loading it ended by a signal: Aborted",
    ),
    "constructor_exits": (
        NOTHING + "__attribute__((constructor)) static void f(void) { _exit(0); }",
        "loading it ended the process, with status 0",
    ),
    "setup_crashes": (
        HEAD + "static bool f(struct ones_app *app) { (void)app; abort(); } "
        'ONES_MODULE(.name = "cinema", .setup = f);',
        "module cinema: its setup ended by a signal: Aborted",
    ),
    "setup_fails": (
        HEAD + "static bool f(struct ones_app *app) { (void)app; return false; } "
        'ONES_MODULE(.name = "cinema", .setup = f);',
        "module cinema: its setup returned false",
    ),
    "setup_forks": (
        "#include <unistd.h>\n"
        + HEAD
        + "static bool f(struct ones_app *app) { (void)app; if (fork() == 0) { alarm(5); pause(); } return true; } "
        'ONES_MODULE(.name = "cinema", .setup = f);',
        "module cinema: its setup leaves a process behind",
    ),
    "setup_forks_twice": (
        "#include <errno.h>\n#include <unistd.h>\n#include <sys/wait.h>\n"
        + HEAD
        + "static bool f(struct ones_app *app) { (void)app; if (fork() == 0) _exit(0); "
        "siginfo_t info; waitid(P_ALL, 0, &info, WEXITED | WNOWAIT); "
        "if (fork() == 0) { alarm(5); pause(); } errno = ECHILD; return true; } "
        'ONES_MODULE(.name = "cinema", .setup = f);',
        "module cinema: its setup leaves a process behind",
    ),
    "route_twice": (
        HEAD + "static void h(struct ones_request *req) { (void)req; }\n"
        'static bool f(struct ones_app *app) { struct ones_route r = {.path = "/a", .get = h};'
        ' ones_route(app, &r); ones_route(app, &r); return true; } ONES_MODULE(.name = "cinema", .setup = f);',
        "module cinema: ",
    ),
    "pages_elsewhere": (HEAD + 'ONES_MODULE(.name = "cinema", .pages = "../pages");', "not the name of a folder"),
    "pages_missing": (HEAD + 'ONES_MODULE(.name = "cinema", .pages = "none");', "none: No such file or directory"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_module_that_is_wrong_is_refused_with_the_reason(new_daemon, build, kind):
    source, reason = REFUSED[kind]
    module = build(source)
    said = refused_at_start(new_daemon, settings_for(module))
    assert reason in said and said.startswith("module ")


@pytest.mark.skipif(IS_SANITIZED, reason="this daemon has the sanitizer")
def test_module_with_the_sanitizer_is_refused_by_a_daemon_without(new_daemon, build):
    module = build(CINEMA, flags=["-fsanitize=address,undefined"])
    assert "it was built with -fsanitize=address, and this daemon was not" in refused_at_start(new_daemon, settings_for(module))


OVERFLOW = """
static void overflow(struct ones_request *req)
{
	char *block = malloc(8);
	int64_t at = 0;

	(void)ones_path_int(req, "at", &at);
	block[at] = 1;
	free(block);
	ones_reply_empty(req, 204);
}

static bool setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/overflow/:at", .get = overflow, .needs = ONES_NEEDS_DATABASE});
	return true;
}

ONES_MODULE(.name = "cinema", .setup = setup);
"""


@pytest.mark.skipif(not IS_SANITIZED, reason="this daemon has no sanitizer: make sanitized")
def test_sanitizer_reports_a_module_s_bug_in_the_log_and_the_others_serve_on(new_daemon, build):
    daemon = new_daemon(settings_for(build(HEAD + OVERFLOW))).start()
    assert get(daemon, "/cinema/overflow/7").status == 204
    ask_in_vain(daemon, "/cinema/overflow/8")
    wait_until(lambda: "heap-buffer-overflow" in daemon.log_text(), "the report")
    wait_until(lambda: re.search(r"#0 .* in overflow ", daemon.log_text()), "the place")
    wait_until(lambda: get(daemon, "/cinema/overflow/7").status == 204, "the others to serve")
    # It was asked for.
    os.truncate(daemon.log, 0)


@pytest.mark.slow
def test_module_that_hangs_is_refused_within_seconds(new_daemon, build):
    module = build(NOTHING + "__attribute__((constructor)) static void f(void) { for (;;) pause(); }")
    assert "loading it took longer than 5 s" in refused_at_start(new_daemon, settings_for(module))


def test_what_a_module_says_of_itself_cannot_harm_a_terminal(new_daemon, build):
    module = build(HEAD + 'ONES_MODULE(.name = "cinema", .version = "1\\033[2J");')
    daemon = new_daemon(settings_for(module)).start()
    assert status(daemon)["modules"][1]["version"] == "1?[2J"


def test_module_that_is_not_there_is_refused(new_daemon, tmp_path):
    assert "No such file or directory" in refused_at_start(new_daemon, settings_for(tmp_path / "none.so"))
    said = refused_at_start(new_daemon, settings_for("none_of_this_name"))
    assert said.startswith("module none_of_this_name: /") and "/none_of_this_name.so: No such file" in said


def test_module_that_others_can_write_is_refused(new_daemon, build, tmp_path):
    module = build(NOTHING)
    module.chmod(0o664)
    assert f"{module} can be written by others" in refused_at_start(new_daemon, settings_for(module))
    module.chmod(0o644)
    module.parent.chmod(0o757)
    assert f"{module.parent} can be written by others" in refused_at_start(new_daemon, settings_for(module))
    module.parent.chmod(0o755)
    # A link is as good as its folder.
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "cinema.so"
    link.symlink_to(module)
    (tmp_path / "links").chmod(0o777)
    assert f"{link.parent} can be written by others" in refused_at_start(new_daemon, settings_for(link))
    (tmp_path / "links").chmod(0o755)
    new_daemon(settings_for(link)).start()


def test_module_with_a_page_that_others_can_write_is_refused(new_daemon, build):
    module = build(HEAD + 'ONES_MODULE(.name = "cinema", .pages = "pages");')
    pages = module.parent / "pages"
    pages.mkdir()
    script = pages / "film.js"
    script.write_text("// nothing")
    for path in (script, pages):
        path.chmod(path.stat().st_mode | 0o002)
        said = refused_at_start(new_daemon, settings_for(module))
        assert f"module cinema: pages: {path} can be written by others than its owner" in said
        path.chmod(path.stat().st_mode & ~0o022)


def test_prefix_that_hides_a_route_of_the_daemon_is_refused(new_daemon, build):
    module = build(HEAD + 'ONES_MODULE(.name = "cinema");')
    for prefix, route in (("/session/auth", "/auth"), ("/session/login/x", "/login"), ("/session/sessions", "/sessions")):
        said = refused_at_start(new_daemon, settings_for(module, **{"cinema.prefix": prefix}))
        assert f'its prefix is "{prefix}", where the daemon\'s own route {route} is' in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_module_of_another_user_is_refused(new_daemon, build):
    module = build(NOTHING)
    os.chown(module, 12345, -1)
    assert "belongs to user 12345" in refused_at_start(new_daemon, settings_for(module))


def test_what_is_no_file_is_refused(new_daemon, build, tmp_path):
    folder = build(NOTHING).parent
    os.mkfifo(folder / "pipe.so")
    assert "is not a file" in refused_at_start(new_daemon, settings_for(folder / "pipe.so"))
    (folder / "text.so").write_text("this is no module")
    assert "module " in refused_at_start(new_daemon, settings_for(folder / "text.so"))


def test_modules_that_collide_are_refused(new_daemon, build):
    module = build(NOTHING)
    same = build(NOTHING, "same")
    said = refused_at_start(new_daemon, settings_for(module, same))
    assert said == "module cinema: there are two modules of this name"
    assert "are the same file" in refused_at_start(new_daemon, settings_for(module, module))
    prefix = {"cinema.prefix": "/session"}
    assert "which is that of server.prefix" in refused_at_start(new_daemon, settings_for(module, **prefix))
    theatre = build(NOTHING.replace("cinema", "theatre"), "theatre")
    prefix = {"theatre.prefix": "/cinema"}
    assert "which is that of cinema" in refused_at_start(new_daemon, settings_for(module, theatre, **prefix))


def test_section_of_no_module_is_refused_with_its_line_and_the_nearest_name(new_daemon, build):
    said = refused_at_start(new_daemon, settings_for(build(NOTHING), **{"cinena.prefix": "/films"}))
    assert re.search(r"conf:\d+: there is no section \[cinena\]; did you mean \[cinema\]\?$", said)


def test_page_of_a_module_that_is_wrong_is_refused_with_its_line(new_daemon, build):
    module = build(CINEMA, more='.pages="pages",')
    pages = module.parent / "pages"
    pages.mkdir()
    (pages / "film.html").write_text("right\n{{#open}}\n")
    assert re.search(r"pages/film\.html:2: ", refused_at_start(new_daemon, settings_for(module)))
    (pages / "film.html").write_text("{{>none.html}}")
    assert "film.html:1: {{>none.html}}" in refused_at_start(new_daemon, settings_for(module))


def test_start_that_fails_ends_the_worker_with_a_line_and_no_storm(new_daemon, build):
    daemon = new_daemon(settings_for(build(CINEMA), **{"cinema.refuses_to_start": "yes"})).start(wait=None)
    daemon.await_line("worker_failed", "module cinema: its start returned false")
    daemon.await_line("worker_failed", "restart_in_ms=400")
    assert len(daemon.lines_of("worker_failed")) < 40


def test_configuration_shows_a_module_s_section_without_its_secrets(new_daemon, build):
    settings = {"cinema.greeting": "hello", "cinema.api_token": "f00", "cinema.prefix": "/films"}
    daemon = new_daemon(settings_for(build(CINEMA), **settings))
    dumped = subprocess.run(daemon.command("--dump"), capture_output=True, text=True, check=True).stdout
    section = dumped.partition("[cinema]\n")[2]
    assert "greeting = hello\n" in section and "prefix = /films\n" in section
    assert "api_token is set" in section and "f00" not in dumped
    tried = subprocess.run(daemon.command("-t"), capture_output=True, text=True, check=True, env=environment())
    assert "modules: cinema 1.2 (ABI 1)\n" in tried.stdout


# ---- Reload and upgrade ----------------------------------------------------------------------------------------------


def test_file_that_is_overwritten_in_place_changes_nothing_before_a_reload(new_daemon, build):
    module = build(CINEMA)
    daemon = new_daemon(settings_for(module)).start()
    second = build(CINEMA, "second", flags=['-DANSWER="second"'])
    with open(module, "r+b") as file:
        file.write(b"\0" * module.stat().st_size)
    # A worker that is replaced has the code that the others have.
    before = daemon.workers
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: len(daemon.workers) == 2 and daemon.workers != before, "another worker")
    assert {hello(daemon)["answer"] for _ in range(20)} == {"first"}
    second.rename(module)
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: hello(daemon)["answer"] == "second", "the rebuilt module")


def test_reload_takes_a_rebuilt_module_and_loses_no_request(new_daemon, build):
    module = build(CINEMA)
    daemon = new_daemon(settings_for(module)).start()
    answers, is_over = [], threading.Event()

    def ask_again_and_again(kept):
        while not is_over.is_set():
            kept.append(hello(daemon)["answer"])

    # An answer that does not come, or is none of the module's, is one too few.
    asked = [[] for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        running = [pool.submit(ask_again_and_again, kept) for kept in asked]
        try:
            take_rebuilt(daemon, build, answers)
        finally:
            is_over.set()
        for one in running:
            one.result()
    for kept in [answers, *asked]:
        assert set(kept) <= {"first", "second", "third"}
    found = [module for module in status(daemon)["modules"] if module["name"] == "cinema"]
    # All generations are counted as one.
    assert found[0]["requests"] == len(answers) + sum(map(len, asked))


def take_rebuilt(daemon, build, answers):
    for answer in ("second", "third"):
        build(CINEMA, flags=[f'-DANSWER="{answer}"'])
        daemon.send_signal(signal.SIGHUP)

        def is_new(answer=answer):
            answers.append(hello(daemon)["answer"])
            return answers[-1] == answer

        wait_until(is_new, f"the {answer} module")
        wait_until(lambda: len(daemon.workers) == 2, "the old workers to end")


@pytest.mark.parametrize("kind", ["other_abi", "constructor_aborts", "setup_fails"])
def test_reload_with_a_module_that_is_wrong_is_refused_and_the_old_one_goes_on(new_daemon, build, kind):
    source, reason = REFUSED[kind]
    daemon = new_daemon(settings_for(build(CINEMA))).start()
    workers = daemon.workers
    build(source)
    daemon.send_signal(signal.SIGHUP)
    daemon.await_line("reload_refused", reason)
    assert daemon.workers == workers and hello(daemon)["answer"] == "first"
    assert status(daemon)["counts"]["reloads_refused"] == 1


def test_upgrade_with_a_module_of_another_abi_is_refused_with_a_sentence(new_daemon, build):
    daemon = new_daemon(settings_for(build(CINEMA))).start()
    build(REFUSED["other_abi"][0])
    daemon.send_signal(signal.SIGUSR2)
    daemon.await_line("start_failed", "it was built for ABI 99, and this daemon has ABI 1")
    daemon.await_line("upgrade_failed", "the new binary refuses the configuration or a module")
    assert hello(daemon)["answer"] == "first"


# ---- Crashes and loops -----------------------------------------------------------------------------------------------


def ask_in_vain(daemon, path):
    """The worker dies: the connection is closed without an answer."""
    with daemon.connection() as connection:
        connection.send(fastcgi.request_bytes(fastcgi.environ(path=path)))
        assert connection.is_closed(PATIENCE)


def test_crash_is_logged_with_module_route_request_and_stack(new_daemon, build):
    module = build(CINEMA)
    daemon = new_daemon(settings_for(module)).start()
    ask_in_vain(daemon, "/cinema/fault")
    line = daemon.await_line("worker_crashed", "signal=SIGSEGV", "module=cinema", "route=/fault")
    assert re.search(r"request_id=\S+", line)
    frame = daemon.await_line("worker_crashed_at", str(module))
    assert re.search(rf"at=\"?{re.escape(str(module))}\+0x[0-9a-f]+", frame)
    daemon.await_line("worker_killed", 'signal="Segmentation fault"', "module=cinema", "route=/fault")
    wait_until(lambda: hello(daemon)["answer"] == "first", "the others to serve")


def test_loop_is_ended_at_its_deadline_and_logged_with_its_stack(new_daemon, build):
    module = build(CINEMA)
    daemon = new_daemon(settings_for(module, **{"server.request_timeout": "300ms"})).start()
    ask_in_vain(daemon, "/cinema/loop")
    daemon.await_line("request_overdue", "module=cinema", "route=/loop")
    daemon.await_line("worker_crashed", "signal=SIGABRT", "module=cinema", "route=/loop")
    assert str(module) in "".join(daemon.lines_of("worker_crashed_at"))
    daemon.await_line("worker_killed", "signal=Aborted", "module=cinema", "route=/loop")
    assert status(daemon)["counts"]["worker_timeouts"] == 1


def test_worker_that_does_not_abort_is_killed(new_daemon, build):
    settings = {"server.request_timeout": "3s", "server.workers": 1}
    daemon = new_daemon(settings_for(build(CINEMA), **settings)).start()
    (worker,) = daemon.workers
    with daemon.connection() as connection:
        connection.send(fastcgi.request_bytes(fastcgi.environ(path="/cinema/loop")))
        wait_until(lambda: any(w["state"] == "busy" for w in status(daemon)["workers"]), "the loop to begin")
        os.kill(worker, signal.SIGSTOP)
        daemon.await_line("worker_killed", "signal=Killed", "route=/loop")
    assert not is_alive(worker)


# ---- What operators see ----------------------------------------------------------------------------------------------


def test_status_and_metrics_show_requests_errors_and_time_by_module(new_daemon, build):
    daemon = new_daemon(settings_for(build(CINEMA))).start()
    for _ in range(3):
        assert get(daemon, "/cinema/hello").status == 200
    assert get(daemon, "/cinema/wrong").status == 500
    # A worker counts when it has sent the answer.
    wait_until(lambda: status(daemon)["modules"][1]["requests"] == 4, "all to be counted")
    own, cinema = status(daemon)["modules"]
    assert own["name"] == "session" and own["prefix"] == "/session" and own["abi"] == 1
    assert cinema.pop("seconds") > 0
    assert cinema == {"name": "cinema", "version": "1.2", "abi": 1, "prefix": "/cinema", "requests": 4, "errors": 1}
    daemon.await_line("cinema_wrong", "module=cinema", "request_id=", 'message="it is number 7"')
    found = openmetrics.samples(get(daemon, "/session/metrics").body.decode())
    assert found["onesession_module_info", ("module", "cinema"), ("version", "1.2"), ("abi", "1")] == 1
    labels = (("module", "cinema"), ("route", "/hello"))
    assert found["onesession_requests_total", *labels, ("status", "200")] == 3
    assert found["onesession_request_duration_seconds_count", *labels] == 3
    # Those of the daemon's own routes are what they were.
    assert found["onesession_requests_total", ("route", "/status"), ("status", "200")] >= 1
    ctl = Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}"})
    assert "module cinema 1.2 (ABI 1): requests 4, errors 1, time " in ctl.run("status")


# ---- For debuggers ---------------------------------------------------------------------------------------------------


def test_debug_serves_in_one_process_that_a_debugger_can_look_into(new_daemon, build):
    module = build(CINEMA)
    daemon = new_daemon(settings_for(module, **{"server.request_timeout": "100ms"}))
    daemon.start(daemon.command("--debug"), is_master=False)
    assert hello(daemon)["answer"] == "first"
    assert daemon.workers == []
    with open(f"/proc/{daemon.process.pid}/status", encoding="utf-8") as lines:
        assert "Seccomp:\t0\n" in lines.read()
    with open(f"/proc/{daemon.process.pid}/maps", encoding="utf-8") as maps:
        assert str(module) in maps.read()
    body = json.dumps({"username": "alice", "password": daemon.database.password})
    kind = {"Content-Type": "application/json"}
    assert daemon.ask(method="POST", path="/session/login", headers=kind, body=body).status == 200
    assert end(daemon.process, (signal.SIGINT,)) == 0
    assert not os.path.exists(daemon.path)


@ROOT_ONLY
@pytest.mark.skipif(SANITIZED, reason="at its end the sanitizer starts a process, too")
def test_reload_for_which_no_process_can_be_started_is_refused_and_the_daemon_ends_as_always(new_daemon):
    """As another user, whose processes the kernel counts: to root it would give one more."""
    daemon = new_daemon({"server.user": "games"}, modules=[BUILD / "tests/application.so"]).start()
    workers = daemon.workers

    def limit_processes(number):
        command = ["prlimit", "--pid", str(daemon.process.pid), f"--nproc={number}:"]
        subprocess.run(command, check=True, user="games", group="games", extra_groups=[])

    limit_processes(1)
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: " reload_refused " in daemon.log_text(), "the reload to be refused")
    assert daemon.ask(path="/session/ready").status == 200 and daemon.workers == workers
    daemon.stop()
