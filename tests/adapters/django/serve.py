"""Serves the site on a free port of this machine, which it prints; tables and accounts are made before."""

import json
import os
import socketserver
import sys
import wsgiref.simple_server

import django
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]


django.setup()
# First those that the tables of applications without migrations refer to.
call_command("migrate", verbosity=0)
call_command("migrate", run_syncdb=True, verbosity=0)
for name, password in json.loads(os.environ["SITE_ACCOUNTS"]).items():
    if not get_user_model().objects.filter(username=name).exists():
        get_user_model().objects.create_user(name, password=password)
server = wsgiref.simple_server.make_server("127.0.0.1", 0, get_wsgi_application(), Server, Handler)
print(server.server_port)
sys.stdout.flush()
server.serve_forever()
