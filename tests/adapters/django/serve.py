"""Serves the site on a free port of this machine, which it prints; the tables are made before."""

import socketserver
import sys
import wsgiref.simple_server

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]


django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
server = wsgiref.simple_server.make_server("127.0.0.1", 0, get_wsgi_application(), Server, Handler)
print(server.server_port)
sys.stdout.flush()
server.serve_forever()
