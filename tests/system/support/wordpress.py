"""Debian's WordPress, with PHP-FPM and MariaDB, behind nginx and the project's plug-in as the adapters' manual says."""

import glob
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from support.adapted import ADAPTERS, PASSWORD, SITES
from support.mariadb import IS_INSTALLED as HAS_MARIADB
from support.mariadb import MariaDb
from support.nginx import Nginx, own_login_by_fastcgi, shipped
from support.processes import discard, end, scratch, spawn, tail
from support.waiting import wait_until

SOURCE = Path("/usr/share/wordpress")
PHP_FPM = sorted(glob.glob("/usr/sbin/php-fpm*"))
IS_INSTALLED = SOURCE.is_dir() and bool(PHP_FPM) and HAS_MARIADB
# The manual's.
ADDRESS = "https://shop.example"

CONFIG = """<?php
define('DB_HOST', 'localhost:{socket}');
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_CHARSET', 'utf8mb4');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
// Application passwords without HTTPS.
define('WP_ENVIRONMENT_TYPE', 'local');
// The tests' addresses have a port each: what it is for one address.
define('COOKIEHASH', '{hash}');
define('WP_HOME', (isset($_SERVER['HTTPS']) ? 'https://' : 'http://') . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);
$table_prefix = 'wp_';
require __DIR__ . "/config-$_SERVER[SERVER_PORT].php";
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

POOL = """
[global]
daemonize = no
error_log = {folder}/fpm.log
[www]
listen = {folder}/fpm.sock
listen.mode = 0666
{user}
pm = static
pm.max_children = 3
catch_workers_output = yes
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
php_admin_value[error_log] = {folder}/php.log
php_admin_value[sendmail_path] = {folder}/sendmail
php_admin_value[opcache.revalidate_freq] = 0
"""


def manual():
    """The section of the adapters' manual: its lines for the application, and those for nginx by what they belong to."""
    text = (ADAPTERS / "README.md").read_text()
    section = re.search(r"(?ms)^## WordPress\n(.*?)(?=^## |\Z)", text)[1]
    php = re.search(r"(?ms)^```php\n(.*?)^```", section)[1]
    blocks = re.findall(r"(?m)(?:^ {4}.*\n)+", section)
    return php, [re.sub(r"(?m)^ {4}", "", block) for block in blocks]


class WordPressNginx(Nginx):
    def __init__(self, daemon_path, changes, places_lines, commands):
        super().__init__(daemon_path, "own-login.conf", changes)
        self.places_lines, self.commands = places_lines, commands

    def _write_configuration(self, name):
        super()._write_configuration(name)
        file = self.folder / "onesession-places.conf"
        text = file.read_text()
        assert text.count("\tdefault live;\n") == 1
        file.write_text(text.replace("\tdefault live;\n", self.places_lines))
        assert self.commands.count(" own-login.conf") == 1
        commands = self.commands.replace(" own-login.conf", f" {self.folder}/site.conf")
        subprocess.run(["sh", "-euc", commands], check=True, timeout=60)
        text = (self.folder / "nginx.conf").read_text()
        (self.folder / "nginx.conf").write_text(text.replace("http {", "http {\n\tinclude /etc/nginx/mime.types;", 1))
        assert "sessionid=" not in (self.folder / "site.conf").read_text()


class WordPress:
    """One installation, whose sites, each with a port and a daemon of its own, have its people in common."""

    def __init__(self, people):
        self.people = people
        self.folder = scratch("wp")
        self.root = self.folder / "root"
        self.plugin = self.root / "wp-content/plugins/onesession"
        self.log, self.path = self.folder / "php.log", self.folder / "fpm.sock"
        self.mails = self.folder / "mails"
        self.hash = hashlib.md5(ADDRESS.encode()).hexdigest()
        self.database = MariaDb()
        self.process = None
        self.ids = {}

    @property
    def version(self):
        text = (SOURCE / "wp-includes/version.php").read_text()
        return tuple(map(int, re.search(r"wp_version = '(\d+)\.(\d+)", text).groups()))

    def start(self):
        self.database.start()
        self.database.run("CREATE DATABASE wordpress CHARACTER SET utf8mb4")
        shutil.copytree(SOURCE, self.root, ignore=shutil.ignore_patterns("wp-content", "wp-config.php"))
        shutil.copytree(ADAPTERS / "wordpress/onesession", self.plugin)
        shutil.copytree(ADAPTERS / "php", self.plugin / "php")
        shutil.copytree(SITES / "wordpress/plain", self.root / "wp-content/themes/plain")
        (self.root / "wp-config.php").write_text(CONFIG.format(socket=self.database.folder / "s", hash=self.hash))
        (self.folder / "sendmail").write_text(f"#!/bin/sh\ncat >> {self.mails}\n")
        (self.folder / "sendmail").chmod(0o755)
        for path in (self.log, self.mails):
            path.touch()
            path.chmod(0o666)
        self.configure("cli", "http://127.0.0.1:9/session/api", "")
        command = ["php", "-d", "sendmail_path=/bin/true", SITES / "wordpress/install.php", self.root]
        command += [json.dumps(self.people), PASSWORD]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0 and done.stdout.startswith("{"), f"{done.stdout} {done.stderr}"
        self.ids = json.loads(done.stdout)
        user = "user = www-data\ngroup = www-data" if os.geteuid() == 0 else ""
        (self.folder / "fpm.conf").write_text(POOL.format(folder=self.folder, user=user))
        command = [PHP_FPM[-1], "--nodaemonize", "--fpm-config", self.folder / "fpm.conf"]
        self.process = spawn(command, self.folder / "fpm.log")
        wait_until(self._listens, "PHP-FPM")
        return self

    def _listens(self):
        assert self.process.poll() is None, tail(self.folder / "fpm.log")
        return "ready to handle connections" in (self.folder / "fpm.log").read_text()

    def configure(self, port, api, token):
        """The lines of the manual, with the address and the file of this site."""
        file = self.folder / f"token-{port}"
        file.unlink(missing_ok=True)
        file.write_text(token + "\n")
        if os.geteuid() == 0:
            shutil.chown(file, "www-data")
        file.chmod(0o400)
        lines, _ = manual()
        for old, new in {"https://shop.example/session/api": api, "/etc/app/onesession.token": str(file)}.items():
            assert lines.count(old) == 1
            lines = lines.replace(old, new)
        (self.root / f"config-{port}.php").write_text("<?php\n" + lines)

    def notices(self, port, name):
        """What somebody reads in wp-admin who is signed in there, while the guard is not asked."""
        program = f"""
            $_SERVER += ['HTTP_HOST' => '127.0.0.1:{port}', 'SERVER_PORT' => '{port}', 'REQUEST_URI' => '/'];
            require '{self.root}/wp-load.php';
            wp_set_current_user(get_user_by('login', '{name}')->ID);
            do_action('admin_notices');
        """
        command = ["php", "-r", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{done.stdout} {done.stderr}"
        return html.unescape(done.stdout)

    def nginx(self, daemon):
        """own-login.conf, for FastCGI, with the lines of the manual."""
        _, (_, sign_in, places, names, parameters, locations) = manual()
        changes = own_login_by_fastcgi(self.path)
        changes['\t"~^/login/?$" yes;\n'] = f"\t{sign_in}"
        own = shipped("nginx/own-login.conf", {})
        replaced = re.findall(r"(?ms)^\tlocation (?:/|= /robots\.txt|\^~ /\.well-known/) \{\n.*?^\t\}\n", own)
        assert len(replaced) == 3
        for proxied in [old for old in changes if "proxy_pass $application;" in old]:
            del changes[proxied]
        changes |= dict(zip(replaced, (locations.replace("/var/www/shop", str(self.root)), "", "")))
        first = next(old for old in changes if "for an application that speaks FastCGI" in old)
        others = "|".join(re.findall(r"(?m)^fastcgi_param (\w+)", parameters))
        changes[first] = parameters + re.sub(rf"(?m)^\tfastcgi_param (?:{others}) .*\n", "", changes[first])
        return WordPressNginx(daemon.path, changes, places, names)

    def close(self):
        try:
            if self.process is not None:
                end(self.process)
        finally:
            self.database.stop()
            discard(self.folder)
