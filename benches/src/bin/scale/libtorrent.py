"""Has torrents, says "ready" when all are there, and keeps resume data when it is ended: KIND FILES DATA STATE.

The first time it adds the .torrent files of a folder, afterwards what it has kept.
"""
import pathlib
import signal
import sys
import time

import libtorrent as lt

kind, files, data, state = sys.argv[1], *map(pathlib.Path, sys.argv[2:5])
wanted = lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification | lt.alert.category_t.error_notification
session = lt.session({
    "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "alert_mask": wanted, "alert_queue_size": 1_000_000,
})
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))


def of_file(path):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(str(path))
    params.save_path = str(data)
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    params.flags |= lt.torrent_flags.seed_mode
    if kind == "paused":
        params.flags |= lt.torrent_flags.paused
    return params


kept = sorted(state.glob("*.resume"))
due = 0
for path in kept or sorted(files.glob("*.torrent")):
    session.async_add_torrent(lt.read_resume_data(path.read_bytes()) if kept else of_file(path))
    due += 1
while due:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        due -= isinstance(alert, lt.add_torrent_alert)
print("ready", flush=True)
while not ended:
    time.sleep(0.2)

due = 0
for torrent in session.get_torrents():
    if not kept or torrent.need_save_resume_data():
        torrent.save_resume_data(lt.save_resume_flags_t.save_info_dict)
        due += 1
while due:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.save_resume_data_alert):
            (state / f"{alert.params.info_hashes.get_best()}.resume").write_bytes(lt.write_resume_data_buf(alert.params))
            due -= 1
        due -= isinstance(alert, lt.save_resume_data_failed_alert)
