"""A program written for the old service goes on, with one import changed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify
from flask_sqlalchemy import SQLAlchemy

from portbook import get_port_allocation_service  # was: app.services.port_allocation_service

db: Any = SQLAlchemy()


class PortConfiguration(db.Model):  # type: ignore[misc]
    """The old table."""

    __tablename__ = "port_configurations"
    __table_args__ = (db.UniqueConstraint("model", "app_num"),)
    id = db.Column(db.Integer, primary_key=True)
    model = db.Column(db.String(200), nullable=False)
    app_num = db.Column(db.Integer, nullable=False)
    frontend_port = db.Column(db.Integer, nullable=False, unique=True)
    backend_port = db.Column(db.Integer, nullable=False, unique=True)
    is_available = db.Column(db.Boolean, default=True)
    metadata_json = db.Column(db.Text)
    created_at = db.Column(db.DateTime, server_default=db.func.now())
    updated_at = db.Column(db.DateTime, server_default=db.func.now())


def create_app(database: Path) -> Flask:
    """The program, whose calls of the service are as they were."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{database}"
    db.init_app(app)

    @app.post("/apps/<model>/<int:number>")
    def make(model: str, number: int) -> Any:
        port_service = get_port_allocation_service()
        pair = port_service.get_or_allocate_ports(model, number)
        return jsonify(backend=pair.backend, frontend=pair.frontend, model=pair.model)

    @app.delete("/apps/<model>/<int:number>")
    def remove(model: str, number: int) -> Any:
        return jsonify(get_port_allocation_service().release_ports(model, number))

    @app.get("/apps")
    def apps() -> Any:
        allocations = get_port_allocation_service().get_all_allocations()
        ordered = sorted(allocations, key=lambda x: (x["model"], x["app_num"]))
        return jsonify(
            [f"{x['model']} {x['app_num']} {x['backend_port']} {x['frontend_port']}" for x in ordered]
        )

    @app.get("/conflicts")
    def conflicts() -> Any:
        return jsonify(", ".join(get_port_allocation_service().check_port_conflicts()))

    @app.post("/cleanup/<model>")
    def cleanup(model: str) -> Any:
        removed = get_port_allocation_service().cleanup_orphaned_allocations(model)
        return jsonify(removed > 0)

    return app


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = create_app(tmp_path / "thesis_app.db")
    with app.app_context():
        db.create_all()
        for number, (backend, frontend) in enumerate([(5001, 8001), (5007, 8003)], start=1):
            db.session.add(
                PortConfiguration(
                    model="openai_gpt-4",
                    app_num=number,
                    backend_port=backend,
                    frontend_port=frontend,
                )
            )
        db.session.commit()
        db.engine.dispose()
    return app


def test_the_old_programs_calls_go_on(app: Flask, tmp_path: Path) -> None:
    moved = [sys.executable, "-m", "portbook", "import", str(tmp_path / "thesis_app.db")]
    subprocess.run(moved, check=True)
    client = app.test_client()

    assert client.get("/apps").json == ["openai_gpt-4 1 5001 8001", "openai_gpt-4 2 5007 8003"]
    kept = {"backend": 5007, "frontend": 8003, "model": "openai_gpt-4"}
    assert client.post("/apps/openai_gpt-4/2").json == kept
    new = client.post("/apps/x-ai_grok-4/1").json
    assert new == {"backend": 5005, "frontend": 8005, "model": "x-ai_grok-4"}
    assert client.delete("/apps/x-ai_grok-4/1").json is True
    assert client.delete("/apps/x-ai_grok-4/1").json is False
    assert client.get("/conflicts").json == ""
    assert client.post("/cleanup/openai_gpt-4").json is False

    # The old table is as it was: its rows belong to the book now, and the program may drop it.
    with app.app_context():
        assert PortConfiguration.query.count() == 2


def test_the_old_programs_mistake_is_a_value_error_as_before(app: Flask) -> None:
    with pytest.raises(ValueError, match="is not an app number"):
        get_port_allocation_service().get_or_allocate_ports("openai_gpt-4", 0)
