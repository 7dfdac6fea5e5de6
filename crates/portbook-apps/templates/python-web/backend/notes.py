"""The notes: in memory, for as long as the backend runs."""

import threading


class Notes:
    """A list that several requests may change at once."""

    LONGEST = 1000

    def __init__(self):
        self._lock = threading.Lock()
        self._notes = []

    def all(self):
        with self._lock:
            return list(self._notes)

    def add(self, text):
        text = text.strip() if isinstance(text, str) else ""
        if not text or len(text) > self.LONGEST:
            raise ValueError(f"a note has 1 to {self.LONGEST} characters")
        with self._lock:
            note = {"id": len(self._notes) + 1, "text": text}
            self._notes.append(note)
            return note
