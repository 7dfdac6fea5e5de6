//! (i) Validating 1,000 app directories against parsing the same YAML alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use granit_parser::Parser;
use portbook::PortAllocationService;

use crate::harness::{Benchmark, Bound, Failure, HostCheck, Outcome, fill, median, service, timed};

const APPS: usize = 1000;
const ROUNDS: usize = 15;

/// What a generated app has: two services of its own, a database, and what people write around them.
const COMPOSE: &str = r#"# Generated: a backend, a frontend and a database.
name: ${COMPOSE_PROJECT_NAME:-app}

x-logging: &logging
  driver: json-file
  options:
    max-size: "10m"
    max-file: "3"

services:
  backend:
    build:
      context: ./backend
      dockerfile: Dockerfile
    ports:
      - "${BACKEND_PORT:-5000}:5000"
    environment:
      - FLASK_ENV=production
      - DATABASE_URL=postgres://app:${DB_PASSWORD:-app}@db:5432/app
      - CORS_ORIGIN=http://localhost:${FRONTEND_PORT:-8000}
    depends_on:
      db:
        condition: service_healthy
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:5000/health"]
      interval: 30s
      timeout: 10s
      retries: 3
    logging: *logging
    restart: unless-stopped

  frontend:
    build:
      context: ./frontend
      args:
        VITE_API_URL: http://localhost:${BACKEND_PORT:-5000}
    ports:
      - "${FRONTEND_PORT:-8000}:80"
    depends_on:
      - backend
    logging: *logging
    restart: unless-stopped

  db:
    image: postgres:16-alpine
    environment:
      POSTGRES_USER: app
      POSTGRES_PASSWORD: ${DB_PASSWORD:-app}
      POSTGRES_DB: app
    volumes:
      - db-data:/var/lib/postgresql/data
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U app"]
      interval: 5s
      retries: 10
    logging: *logging

volumes:
  db-data:

networks:
  default:
    driver: bridge
"#;

pub fn run() -> Outcome {
    let folder = tempfile::tempdir()?;
    let service = service(&folder.path().join("portbook.db"), HostCheck::Off)?;
    fill(&service, "bench", APPS)?;
    let tree = folder.path().join("apps");
    let files = write_apps(&service, &tree)?;
    let (mut validated, mut parsed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        parsed.push(timed(|| parse(&files))?);
        validated.push(timed(|| validate(&service, &tree))?);
    }
    let (validated, parsed) = (median(validated), median(parsed));
    println!(
        "validate   {:.0} apps a second; the YAML alone {:.0}",
        APPS as f64 / validated,
        APPS as f64 / parsed
    );
    Ok(vec![Benchmark {
        what: format!("validating {APPS} app directories / parsing their YAML on as many threads"),
        ratio: validated / parsed,
        bound: Bound::AtMost(2.0),
    }])
}

/// An app's directory for each of the book's, with a few files of its own; gives the compose files.
fn write_apps(service: &PortAllocationService, tree: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for allocation in service.allocations(None)? {
        let app = &allocation.app;
        let directory = tree
            .join(app.model.identity())
            .join(format!("app{}", app.number));
        for part in ["backend", "frontend"] {
            fs::create_dir_all(directory.join(part))?;
            fs::write(directory.join(part).join("Dockerfile"), "FROM scratch\n")?;
        }
        let variables = service.variables(&allocation)?;
        let lines = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        fs::write(directory.join(".env"), lines.collect::<String>())?;
        // The database is the app's own business: it publishes nothing.
        let file = directory.join("docker-compose.yml");
        fs::write(&file, COMPOSE)?;
        files.push(file);
    }
    Ok(files)
}

fn validate(service: &PortAllocationService, tree: &Path) -> Result<(), Failure> {
    let validated = service.validate(&[tree.to_owned()], &|_| {})?;
    let found = (validated.projects, validated.ports);
    if found != (APPS, 2 * APPS) || !validated.conflicts.is_empty() || !validated.unread.is_empty()
    {
        return Err(format!("{found:?}, {:?}", validated.conflicts.first()).into());
    }
    Ok(())
}

/// The events of every file, on as many threads as there are cores, and nothing done with them.
fn parse(files: &[PathBuf]) -> Result<(), Failure> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
            for event in Parser::new_from_str(&text) {
                std::hint::black_box(event.map_err(|error| error.to_string())?);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a thread failed")??;
        }
        Ok(())
    })
}
