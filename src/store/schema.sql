-- The results database, version 1 (migrate.c has what later versions add). The coordinator is the only writer; anyone may read (WAL).
-- Times are seconds since the epoch; latencies are milliseconds; sizes are bytes; JSON columns hold canonical JSON.

CREATE TABLE environments (      -- what code ran on what machine; one row a distinct content
  id      TEXT PRIMARY KEY,      -- hash of info
  info    TEXT NOT NULL          -- JSON: sweep version, libtorch, onnxruntime, cpu, cores, memory, os, gpus
);

CREATE TABLE sweeps (            -- one row a name; running a file again updates it
  id      INTEGER PRIMARY KEY,
  name    TEXT NOT NULL UNIQUE,
  path    TEXT NOT NULL,
  spec    TEXT NOT NULL,         -- JSON of the file after extends and --set
  rank    TEXT NOT NULL,         -- metric that orders its trials
  created REAL NOT NULL,
  updated REAL NOT NULL
);

CREATE TABLE trials (            -- one cell: everything that decides its weights
  id      TEXT PRIMARY KEY,      -- first 12 hex digits of the train stage's key
  config  TEXT NOT NULL,         -- JSON of every key, resolved
  arch    TEXT NOT NULL,
  backbone TEXT NOT NULL,
  height  INTEGER NOT NULL,
  width   INTEGER NOT NULL,
  seed    INTEGER NOT NULL,
  loss_key TEXT NOT NULL,        -- hash of what decides the training loss: val_loss compares only where this is equal
  params  INTEGER,               -- trained parameters
  macs    INTEGER,               -- multiply-accumulates of one image
  state   TEXT NOT NULL DEFAULT 'queued'
          CHECK (state IN ('queued','running','done','failed','refused','diverged','too_slow','interrupted')),
  reason  TEXT,
  created REAL NOT NULL
);

CREATE TABLE sweep_trials (      -- which sweep asked for which trial, in plan order
  sweep   INTEGER NOT NULL REFERENCES sweeps(id),
  trial   TEXT NOT NULL REFERENCES trials(id),
  ordinal INTEGER NOT NULL,
  axes    TEXT NOT NULL,         -- JSON: this cell's value of each axis
  PRIMARY KEY (sweep, trial)
);

CREATE TABLE stages (            -- one step of a trial; its key says exactly what it depends on
  key     TEXT PRIMARY KEY,      -- 32 hex digits
  trial   TEXT NOT NULL REFERENCES trials(id),
  stage   TEXT NOT NULL,         -- screen, train, evaluate, export, verify, bench, samples
  format  TEXT NOT NULL DEFAULT '',
  device  TEXT NOT NULL DEFAULT '',
  state   TEXT NOT NULL          -- done, refused, diverged, too_slow are results; others run again
          CHECK (state IN ('running','done','failed','refused','diverged','too_slow','interrupted')),
  reason  TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  started REAL,
  ended   REAL,
  seconds REAL NOT NULL DEFAULT 0, -- work, summed over attempts
  rss_bytes INTEGER,             -- peak of the process
  environment TEXT REFERENCES environments(id),
  info    TEXT                   -- JSON: what the stage resolved (precision, threads, batch), by its info events
);
CREATE INDEX stages_trial ON stages(trial, stage);

CREATE TABLE metrics (           -- epoch >= 0: a learning curve; -1: the stage's final value
  stage_key TEXT NOT NULL REFERENCES stages(key),
  trial   TEXT NOT NULL,
  name    TEXT NOT NULL,         -- train_loss, val_loss, ssim, psnr, l1, ms_ssim, lr, images_per_s, verify_max_abs,
                                 -- and with a prefix: untrained_ssim, identity_ssim, val_loss.gram.1
  epoch   INTEGER NOT NULL DEFAULT -1,
  value   REAL,                  -- NULL for a value that is not a number
  PRIMARY KEY (stage_key, name, epoch)
) WITHOUT ROWID;
CREATE INDEX metrics_trial ON metrics(trial, name, epoch);

CREATE TABLE image_metrics (     -- per validation image, of the evaluated weights
  stage_key TEXT NOT NULL REFERENCES stages(key),
  trial   TEXT NOT NULL,
  image   TEXT NOT NULL,
  name    TEXT NOT NULL,
  value   REAL,
  PRIMARY KEY (stage_key, image, name)
) WITHOUT ROWID;

CREATE TABLE artifacts (         -- files a stage left; paths are relative to the database's folder
  stage_key TEXT NOT NULL REFERENCES stages(key),
  trial   TEXT NOT NULL,
  kind    TEXT NOT NULL,         -- best, last, model, sample, sample_input, sample_target, log
  format  TEXT NOT NULL DEFAULT '', -- of a model: onnx, ...
  name    TEXT NOT NULL DEFAULT '', -- of a sample: the image's name
  path    TEXT NOT NULL,
  bytes   INTEGER NOT NULL,
  hash    TEXT NOT NULL,         -- XXH3-128
  PRIMARY KEY (stage_key, kind, format, name)
) WITHOUT ROWID;

CREATE TABLE devices (
  name    TEXT PRIMARY KEY,      -- cpu, ...
  info    TEXT NOT NULL          -- JSON: what the device says it is
);

CREATE TABLE latencies (         -- one row a visit: a fresh process that loaded and timed one file
  id      INTEGER PRIMARY KEY,
  stage_key TEXT NOT NULL REFERENCES stages(key),
  trial   TEXT NOT NULL,
  format  TEXT NOT NULL,
  device  TEXT NOT NULL,
  threads INTEGER NOT NULL,      -- asked for; 0: all
  height  INTEGER NOT NULL,
  width   INTEGER NOT NULL,
  visit   INTEGER NOT NULL,
  n       INTEGER NOT NULL,      -- measured runs
  load_ms REAL, first_ms REAL,
  min_ms REAL, p50_ms REAL, p90_ms REAL, p99_ms REAL, mean_ms REAL, cov REAL,
  unstable INTEGER NOT NULL,     -- coefficient of variation over 2.5 %
  busy    INTEGER NOT NULL DEFAULT 0, -- measured beside training
  rss_bytes INTEGER,
  samples BLOB NOT NULL,         -- raw microseconds, float32 little-endian
  info    TEXT NOT NULL,         -- JSON: runtime, version, options, governor, temperatures, timed region
  measured REAL NOT NULL,
  UNIQUE (stage_key, threads, visit)
);
CREATE INDEX latencies_trial ON latencies(trial);

-- One row a (trial, format, device, threads, size): visits pooled by taking the median of their medians.
CREATE VIEW latency_summary AS
SELECT trial, format, device, threads, height, width, count(*) AS visits, sum(n) AS n,
       min(load_ms) AS load_ms, min(first_ms) AS first_ms, min(min_ms) AS min_ms,
       (SELECT avg(p50_ms) FROM (SELECT p50_ms, row_number() OVER (ORDER BY p50_ms) AS i, count(*) OVER () AS c
          FROM latencies m WHERE m.trial = l.trial AND m.format = l.format AND m.device = l.device
            AND m.threads = l.threads AND m.height = l.height AND m.width = l.width)
        WHERE i IN ((c + 1) / 2, (c + 2) / 2)) AS p50_ms,
       avg(p90_ms) AS p90_ms, avg(p99_ms) AS p99_ms, max(unstable) AS unstable, max(busy) AS busy,
       max(rss_bytes) AS rss_bytes
FROM latencies l GROUP BY trial, format, device, threads, height, width;

-- The final value of each metric, one row a trial.
CREATE VIEW finals AS
SELECT trial, max(CASE name WHEN 'val_loss' THEN value END) AS val_loss,
       max(CASE name WHEN 'ssim' THEN value END) AS ssim, max(CASE name WHEN 'ms_ssim' THEN value END) AS ms_ssim,
       max(CASE name WHEN 'psnr' THEN value END) AS psnr, max(CASE name WHEN 'l1' THEN value END) AS l1,
       max(CASE name WHEN 'train_loss' THEN value END) AS train_loss,
       max(CASE name WHEN 'identity_ssim' THEN value END) AS identity_ssim,
       max(CASE name WHEN 'untrained_ssim' THEN value END) AS untrained_ssim,
       max(CASE name WHEN 'verify_max_abs' THEN value END) AS verify_max_abs
FROM metrics WHERE epoch = -1 GROUP BY trial;

-- One row a trial: what was asked, quality, and the latency of its fp32 ONNX on the CPU with one thread.
CREATE VIEW results AS
SELECT t.id AS trial, (SELECT group_concat(s.name) FROM sweep_trials st JOIN sweeps s ON s.id = st.sweep
                       WHERE st.trial = t.id) AS sweep,
       t.arch, t.backbone, t.height, t.width, t.seed, t.state, t.reason,
       f.ssim, f.ms_ssim, f.psnr, f.l1, f.val_loss, f.train_loss, f.identity_ssim, f.untrained_ssim, f.verify_max_abs,
       l.p50_ms, l.p90_ms, l.p99_ms, l.min_ms, 1000.0 / l.p50_ms AS fps, l.load_ms, l.first_ms, l.unstable, l.device,
       t.params, t.macs, t.loss_key,
       (SELECT sum(seconds) FROM stages g WHERE g.trial = t.id AND g.stage = 'train') AS train_s, t.config
FROM trials t LEFT JOIN finals f ON f.trial = t.id
LEFT JOIN latency_summary l ON l.trial = t.id AND l.format = 'onnx' AND l.device = coalesce(
       nullif(json_extract(t.config, '$."gate.device"'), ''), 'cpu') AND l.threads = 1
       AND l.height = t.height AND l.width = t.width;

-- One row a (trial, format, device, threads, size).
CREATE VIEW results_all AS
SELECT r.trial, r.sweep, r.arch, r.backbone, r.seed, r.state, r.ssim, r.ms_ssim, r.psnr, r.l1, r.val_loss,
       l.format, l.device, l.threads, l.height, l.width, l.visits, l.n, l.min_ms, l.p50_ms, l.p90_ms, l.p99_ms,
       l.load_ms, l.first_ms, l.unstable, l.busy, l.rss_bytes, r.params, r.macs
FROM results r JOIN latency_summary l ON l.trial = r.trial;
