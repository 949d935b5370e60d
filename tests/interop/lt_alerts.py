"""A session of libtorrent whose alerts can be waited for.

`wait_for_alert` of the binding hands out the foremost alert of a queue that libtorrent's own thread still moves in memory, and a
busy machine dies of that now and then. Here a descriptor tells that there is something, and what `pop_alerts` hands out stays where
it is until it is asked again.
"""
import select
import socket

import libtorrent as lt


class Session(lt.session):
    def __init__(self, settings):
        super().__init__(settings)
        self.told, self.tells = socket.socketpair()
        for end in (self.told, self.tells):
            end.setblocking(False)
        self.set_alert_fd(self.tells.fileno())

    def alerts(self, seconds):
        """What has come: at once if there is something, else as soon as there is, else nothing after this time."""
        select.select([self.told], [], [], seconds)
        try:
            self.told.recv(4096)
        except BlockingIOError:
            pass
        return self.pop_alerts()
