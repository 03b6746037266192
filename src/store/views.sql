-- What version 6 of the schema adds: the views, with what a judge says, of a stage that was done again (another judge,
-- other weights) the last result alone, and of each exported file what it is worth.
DROP VIEW results_all;
DROP VIEW IF EXISTS files;
DROP VIEW results;
DROP VIEW finals;
DROP VIEW IF EXISTS final_image_metrics;
DROP VIEW IF EXISTS final_metrics;
DROP VIEW IF EXISTS outdated;

-- Stages that another of the same kind has taken the place of.
CREATE VIEW outdated AS
SELECT o.key FROM stages o WHERE EXISTS (
  SELECT 1 FROM stages n WHERE n.trial = o.trial AND n.stage = o.stage AND n.format = o.format AND n.device = o.device
    AND n.state = 'done' AND n.ended > o.ended);

-- Final values: of a trial (of its files, of the fp32 ONNX alone), and of each of its validation images.
CREATE VIEW final_metrics AS
SELECT trial, name, value FROM metrics WHERE epoch = -1 AND stage_key NOT IN (SELECT key FROM outdated)
  AND stage_key NOT IN (SELECT key FROM stages WHERE stage = 'verify' AND format <> 'onnx');
CREATE VIEW final_image_metrics AS
SELECT trial, image, name, value FROM image_metrics WHERE stage_key NOT IN (SELECT key FROM outdated);

-- The final value of each metric, one row a trial.
CREATE VIEW finals AS
SELECT trial, max(CASE name WHEN 'val_loss' THEN value END) AS val_loss,
       max(CASE name WHEN 'ssim' THEN value END) AS ssim,
       max(CASE name WHEN 'ms_ssim' THEN value END) AS ms_ssim,
       max(CASE name WHEN 'psnr' THEN value END) AS psnr,
       max(CASE name WHEN 'l1' THEN value END) AS l1,
       max(CASE name WHEN 'train_loss' THEN value END) AS train_loss,
       max(CASE name WHEN 'identity_ssim' THEN value END) AS identity_ssim,
       max(CASE name WHEN 'untrained_ssim' THEN value END) AS untrained_ssim,
       max(CASE name WHEN 'verify_max_abs' THEN value END) AS verify_max_abs,
       max(CASE name WHEN 'feature_distance' THEN value END) AS feature_distance,
       max(CASE name WHEN 'style_distance' THEN value END) AS style_distance,
       max(CASE name WHEN 'kid' THEN value END) AS kid,
       max(CASE name WHEN 'kid_deviation' THEN value END) AS kid_deviation,
       max(CASE name WHEN 'identity_feature_distance' THEN value END) AS identity_feature_distance,
       max(CASE name WHEN 'untrained_feature_distance' THEN value END) AS untrained_feature_distance
FROM final_metrics GROUP BY trial;

-- One row an exported file: whether it computes what the trained net does (right, wrong: beyond its format's tolerance,
-- unexecuted: nothing here runs it, failed), how far its pictures are from the net's, and what they are themselves worth.
CREATE VIEW files AS
SELECT g.trial, g.format, coalesce(json_extract(g.info, '$.verify'), CASE g.state WHEN 'done' THEN 'right' ELSE g.state
         END) AS verify,
       max(CASE m.name WHEN 'verify_max_abs' THEN m.value END) AS verify_max_abs,
       max(CASE m.name WHEN 'verify_mean_abs' THEN m.value END) AS verify_mean_abs,
       max(CASE m.name WHEN 'verify_psnr' THEN m.value END) AS verify_psnr,
       max(CASE m.name WHEN 'file_ssim' THEN m.value END) AS file_ssim,
       max(CASE m.name WHEN 'file_psnr' THEN m.value END) AS file_psnr,
       max(CASE m.name WHEN 'file_feature_distance' THEN m.value END) AS file_feature_distance
FROM stages g LEFT JOIN metrics m ON m.stage_key = g.key AND m.epoch = -1
WHERE g.stage = 'verify' AND g.key NOT IN (SELECT key FROM outdated) GROUP BY g.trial, g.format;

-- One row a trial and sweep, so that a trial of two sweeps is found by either name: what was asked, quality, and the
-- latency of its fp32 ONNX on the CPU with one thread.
CREATE VIEW results AS
SELECT t.id AS trial, w.name AS sweep,
       t.arch, t.backbone, t.height, t.width, t.seed, t.state, t.reason,
       f.ssim, f.ms_ssim, f.psnr, f.l1, f.val_loss, f.train_loss, f.identity_ssim, f.untrained_ssim, f.verify_max_abs,
       f.feature_distance, f.style_distance, f.kid, f.kid_deviation, f.identity_feature_distance,
       f.untrained_feature_distance,
       l.p50_ms, l.p90_ms, l.p99_ms, l.min_ms, 1000.0 / l.p50_ms AS fps, l.load_ms, l.first_ms, l.unstable, l.device,
       t.params, t.macs, t.loss_key,
       (SELECT sum(seconds) FROM stages g WHERE g.trial = t.id AND g.stage = 'train') AS train_s, t.note, t.tags, t.config
FROM trials t LEFT JOIN sweep_trials st ON st.trial = t.id LEFT JOIN sweeps w ON w.id = st.sweep
LEFT JOIN finals f ON f.trial = t.id
LEFT JOIN latency_summary l ON l.trial = t.id AND l.format = 'onnx' AND l.device = coalesce(
       nullif(json_extract(t.config, '$."gate.device"'), ''), 'cpu') AND l.threads = 1
       AND l.height = t.height AND l.width = t.width;

-- One row a (trial, sweep, format, device, threads, size).
CREATE VIEW results_all AS
SELECT r.trial, r.sweep, r.arch, r.backbone, r.seed, r.state, r.ssim, r.ms_ssim, r.psnr, r.l1, r.val_loss,
       r.feature_distance, r.style_distance, r.kid,
       l.format, l.device, l.threads, l.height, l.width, l.visits, l.n, l.min_ms, l.p50_ms, l.p90_ms, l.p99_ms,
       l.load_ms, l.first_ms, l.unstable, l.busy, l.rss_bytes, r.params, r.macs,
       f.verify, f.verify_max_abs, f.verify_psnr, f.file_ssim, f.file_psnr, f.file_feature_distance
FROM results r JOIN latency_summary l ON l.trial = r.trial
LEFT JOIN files f ON f.trial = l.trial AND f.format = l.format;
