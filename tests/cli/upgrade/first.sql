-- What version 0.1.0 stored of first.yaml, as sqlite3's .dump writes it; without samples of latencies and metrics of images.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE environments (      -- what code ran on what machine; one row a distinct content
  id      TEXT PRIMARY KEY,      -- hash of info
  info    TEXT NOT NULL          -- JSON: sweep version, libtorch, onnxruntime, cpu, cores, memory, os, gpus
);
INSERT INTO environments VALUES('07ebf9ea0e4bcb80fd164da8fd2bc470','{"bench_hash":"a18cb479072eee0dacc5cbb80c24663b","cores":2,"cpu":"AMD EPYC","gpu":false,"kernel":"6.18.44-fc-v595","libtorch":"2.13.0+cpu","memory_bytes":25276514304,"onnxruntime":"1.30.0","os":"Linux","sweep":"0.1.0","sweep_hash":"c331ee8a5c230ba985cae534149b11e9","worker_hash":"53914b6eb7c685688d64070cec922ba6"}');
CREATE TABLE sweeps (            -- one row a name; running a file again updates it
  id      INTEGER PRIMARY KEY,
  name    TEXT NOT NULL UNIQUE,
  path    TEXT NOT NULL,
  spec    TEXT NOT NULL,         -- JSON of the file after extends and --set
  rank    TEXT NOT NULL,         -- metric that orders its trials
  created REAL NOT NULL,
  updated REAL NOT NULL
);
INSERT INTO sweeps VALUES(1,'first','first.yaml','{"axes":[{"key":"model.backbone","values":["mobilenetv3_small_100","vgg11"]}],"base":{"bench.visits":1,"data.pairs":8,"data.size":[64,64],"gate.p50_ms":10000.0,"loss.feature_weights":[1.0],"loss.gram_weights":[0.5],"loss.network":"vgg11","model.arch":"unet","model.channels":[16,8,8],"model.depth":3,"train.batch":4,"train.epochs":1,"train.precision":"fp32"},"exclude":[],"include":[],"name":"first","zip":[]}','ssim',1795732909.0595402717,1795732909.0595402717);
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
          CHECK (state IN ('queued','running','done','failed','refused','diverged','too_slow','pruned','interrupted')),
  reason  TEXT,
  created REAL NOT NULL
, content TEXT);
INSERT INTO trials VALUES('b2b826d7e0fc','{"augment":[],"bench.mode":"normal","bench.threads":[1,0],"bench.visits":1,"data.input":"input","data.pairs":8,"data.root":"synthetic","data.size":[64,64],"data.split.seed":42,"data.split.train":null,"data.split.val":0.20000000000000001,"data.target":"target","devices":["cpu"],"evaluate.rank":"ssim","evaluate.weights":"best","export.formats":["onnx"],"export.io":"tensor","gate.device":"cpu","gate.p50_ms":10000.0,"limits.hang_s":900,"limits.memory_mib":0,"limits.stage_s":0,"loss.feature_weights":[1.0],"loss.gram_scale":5000.0,"loss.gram_weights":[0.5],"loss.network":"vgg11","loss.pixel_weight":1.0,"loss.size":0,"loss.weights":null,"model.arch":"unet","model.attention":null,"model.backbone":"mobilenetv3_small_100","model.channels":[16,8,8],"model.depth":3,"model.dropout":null,"model.in_channels":3,"model.interpolation":null,"model.merge":null,"model.output.activation":null,"model.output.residual":false,"model.output_stride":0,"model.strict":true,"model.weights":"random","prune.metric":null,"prune.min_epochs":0,"prune.min_peers":3,"prune.reduction":3,"prune.rule":"none","prune.tolerance":0.10000000000000001,"prune.warmup_epochs":0,"samples":8,"seed":0,"train.batch":4,"train.beta1":0.90000000000000002,"train.beta2":0.999,"train.channels_last":true,"train.checkpoint_every":1,"train.clip_grad":0.0,"train.drop_last":false,"train.ema":0.0,"train.encoder_lr":0.0,"train.epochs":1,"train.eps":1e-8,"train.freeze_bn":false,"train.freeze_encoder":0,"train.lr":0.001,"train.momentum":0.90000000000000002,"train.monitor":"val_loss","train.optimizer":"adamw","train.patience":0,"train.precision":"fp32","train.schedule":"onecycle","train.threads":0,"train.warmup":0.10000000000000001,"train.weight_decay":0.01}','unet','mobilenetv3_small_100',64,64,0,'522f26c1f01ea8e3d60156bf7d5377b6',939451,11929856,'done',NULL,1795732909.0592954158,'{"images":"164343f040af920f5b778471d5792b24","loss_weights":"random","model_weights":"random"}');
INSERT INTO trials VALUES('937e688dda56','{"augment":[],"bench.mode":"normal","bench.threads":[1,0],"bench.visits":1,"data.input":"input","data.pairs":8,"data.root":"synthetic","data.size":[64,64],"data.split.seed":42,"data.split.train":null,"data.split.val":0.20000000000000001,"data.target":"target","devices":["cpu"],"evaluate.rank":"ssim","evaluate.weights":"best","export.formats":["onnx"],"export.io":"tensor","gate.device":"cpu","gate.p50_ms":10000.0,"limits.hang_s":900,"limits.memory_mib":0,"limits.stage_s":0,"loss.feature_weights":[1.0],"loss.gram_scale":5000.0,"loss.gram_weights":[0.5],"loss.network":"vgg11","loss.pixel_weight":1.0,"loss.size":0,"loss.weights":null,"model.arch":"unet","model.attention":null,"model.backbone":"vgg11","model.channels":[16,8,8],"model.depth":3,"model.dropout":null,"model.in_channels":3,"model.interpolation":null,"model.merge":null,"model.output.activation":null,"model.output.residual":false,"model.output_stride":0,"model.strict":true,"model.weights":"random","prune.metric":null,"prune.min_epochs":0,"prune.min_peers":3,"prune.reduction":3,"prune.rule":"none","prune.tolerance":0.10000000000000001,"prune.warmup_epochs":0,"samples":8,"seed":0,"train.batch":4,"train.beta1":0.90000000000000002,"train.beta2":0.999,"train.channels_last":true,"train.checkpoint_every":1,"train.clip_grad":0.0,"train.drop_last":false,"train.ema":0.0,"train.encoder_lr":0.0,"train.epochs":1,"train.eps":1e-8,"train.freeze_bn":false,"train.freeze_encoder":0,"train.lr":0.001,"train.momentum":0.90000000000000002,"train.monitor":"val_loss","train.optimizer":"adamw","train.patience":0,"train.precision":"fp32","train.schedule":"onecycle","train.threads":0,"train.warmup":0.10000000000000001,"train.weight_decay":0.01}','unet','vgg11',64,64,0,'522f26c1f01ea8e3d60156bf7d5377b6',14066459,883261440,'done',NULL,1795732909.0594875812,'{"images":"164343f040af920f5b778471d5792b24","loss_weights":"random","model_weights":"random"}');
CREATE TABLE sweep_trials (      -- which sweep asked for which trial, in plan order
  sweep   INTEGER NOT NULL REFERENCES sweeps(id),
  trial   TEXT NOT NULL REFERENCES trials(id),
  ordinal INTEGER NOT NULL,
  axes    TEXT NOT NULL,         -- JSON: this cell's value of each axis
  PRIMARY KEY (sweep, trial)
);
INSERT INTO sweep_trials VALUES(1,'b2b826d7e0fc',0,'{"model.backbone":"mobilenetv3_small_100"}');
INSERT INTO sweep_trials VALUES(1,'937e688dda56',1,'{"model.backbone":"vgg11"}');
CREATE TABLE stages (            -- one step of a trial; its key says exactly what it depends on
  key     TEXT PRIMARY KEY,      -- 32 hex digits
  trial   TEXT NOT NULL REFERENCES trials(id),
  stage   TEXT NOT NULL,         -- screen, train, evaluate, export, verify, bench, samples
  format  TEXT NOT NULL DEFAULT '',
  device  TEXT NOT NULL DEFAULT '',
  state   TEXT NOT NULL          -- done, refused, diverged, too_slow are results; others run again
          CHECK (state IN ('running','done','failed','refused','diverged','too_slow','pruned','interrupted')),
  reason  TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  started REAL,
  ended   REAL,
  seconds REAL NOT NULL DEFAULT 0, -- work, summed over attempts
  rss_bytes INTEGER,             -- peak of the process
  environment TEXT REFERENCES environments(id),
  info    TEXT                   -- JSON: what the stage resolved (precision, threads, batch), by its info events
);
INSERT INTO stages VALUES('a7303c568aa8b2f5f4fc51e07501a546','b2b826d7e0fc','screen','untrained','cpu','done',NULL,1,1795732909.0603544711,1795732912.657038927,2.9585451589991862419,122834944,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"macs":11929856,"params":939451,"weights":"untrained","est_activation_bytes":262144.0,"est_activation_ms":0.77013333333333334,"est_arithmetic_ms":0.39766186666666664,"est_arithmetic_s":0.0,"est_launch_ms":0.20000000000000001,"est_parameter_bytes":3757804.0,"est_process_bytes":314572800.0,"est_s":3.0,"est_start_s":3.0,"est_steps_s":0.0,"est_traffic_s":0.0,"est_weight_ms":0.62630066666666662}');
INSERT INTO stages VALUES('4942758b5261386dbf48872677f4810a','937e688dda56','screen','untrained','cpu','done',NULL,1,1795732909.4642438888,1795732915.3904500007,3.3680403660000592935,265043968,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"macs":883261440,"params":14066459,"weights":"untrained","est_activation_bytes":2097152.0,"est_activation_ms":3.0801919999999998,"est_arithmetic_ms":29.442048,"est_arithmetic_s":0.0,"est_launch_ms":0.20000000000000001,"est_parameter_bytes":56265836.0,"est_process_bytes":314572800.0,"est_s":3.0,"est_start_s":3.0,"est_steps_s":0.0,"est_traffic_s":0.0,"est_weight_ms":9.3776393333333328}');
INSERT INTO stages VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','train','','','done',NULL,1,1795732915.3906302452,1795732916.0289294719,0.63782101699871418531,200110080,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"loss_network":"vgg11","loss_random":true,"batch":4,"device":"cpu","libtorch":"2.13.0","macs":11929856,"params":939451,"precision":"fp32","threads":2,"train_images":6,"val_images":2,"est_activation_bytes":17892416.0,"est_arithmetic_s":0.0051882981052631585,"est_parameter_bytes":51913136.0,"est_process_bytes":314572800.0,"est_s":1.669713578105263,"est_start_s":1.5,"est_steps_s":0.15000000000000002,"est_traffic_s":0.01452528}');
INSERT INTO stages VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','evaluate','','','done',NULL,1,1795732916.0291912555,1795732916.4716322422,0.44178347500019299332,148791296,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"loss_network":"vgg11","loss_random":true,"est_activation_bytes":13631504.0,"est_arithmetic_s":0.00068646400000000002,"est_parameter_bytes":40639724.0,"est_process_bytes":314572800.0,"est_s":1.5517924320000001,"est_start_s":1.5,"est_steps_s":0.050000000000000003,"est_traffic_s":0.0011059679999999999}');
INSERT INTO stages VALUES('3d5a979ed0892c4ade028e4947b17089','b2b826d7e0fc','export','onnx','','done',NULL,1,1795732916.4719133376,1795732916.8100140095,0.33726745000058144796,123150336,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"macs":11929856,"params":939451,"weights":"best","est_activation_bytes":262144.0,"est_arithmetic_s":0.0,"est_parameter_bytes":3757804.0,"est_process_bytes":314572800.0,"est_s":1.5,"est_start_s":1.5,"est_steps_s":0.0,"est_traffic_s":0.0}');
INSERT INTO stages VALUES('cd92dfd3e9a5b106dc39fc2bb1905584','b2b826d7e0fc','verify','onnx','','done',NULL,1,1795732916.8102507591,1795732917.1992864609,0.38847797899870784021,169988096,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"verify_tolerance":0.0050000000000000001,"verify_unit":"normalised units","est_activation_bytes":262144.0,"est_arithmetic_s":0.0012557743157894736,"est_parameter_bytes":3757804.0,"est_process_bytes":314572800.0,"est_s":1.7027960409824561,"est_start_s":1.5,"est_steps_s":0.20000000000000001,"est_traffic_s":0.0015402666666666667}');
INSERT INTO stages VALUES('38a1c8062d4d701e3c656b07672f21a3','b2b826d7e0fc','samples','','','done',NULL,1,1795732917.1995334625,1795732917.526055336,0.32589098300013574771,139587584,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"est_activation_bytes":262144.0,"est_arithmetic_s":0.00031394357894736841,"est_parameter_bytes":3757804.0,"est_process_bytes":314572800.0,"est_s":1.6006990102456142,"est_start_s":1.5,"est_steps_s":0.10000000000000001,"est_traffic_s":0.00038506666666666668}');
INSERT INTO stages VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','train','','','done',NULL,1,1795732917.5262892246,1795732919.4791343211,1.9522520830014400416,542015488,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"loss_network":"vgg11","loss_random":true,"batch":4,"device":"cpu","libtorch":"2.13.0","macs":883261440,"params":14066459,"precision":"fp32","threads":2,"train_images":6,"val_images":2,"est_activation_bytes":45613120.0,"est_arithmetic_s":0.23448608336842103,"est_parameter_bytes":261945264.0,"est_process_bytes":314572800.0,"est_s":1.9209569207017543,"est_start_s":1.5,"est_steps_s":0.15000000000000002,"est_traffic_s":0.036470837333333332}');
INSERT INTO stages VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','evaluate','','','done',NULL,1,1795732919.4793326854,1795732920.207023859,0.72322163700118835549,283353088,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"loss_network":"vgg11","loss_random":true,"est_activation_bytes":20971536.0,"est_arithmetic_s":0.023616242526315789,"est_parameter_bytes":93147756.0,"est_process_bytes":314572800.0,"est_s":1.5758772398596492,"est_start_s":1.5,"est_steps_s":0.050000000000000003,"est_traffic_s":0.0022609973333333334}');
INSERT INTO stages VALUES('e56de80b35f6520c27186f3092f9b68e','937e688dda56','export','onnx','','done',NULL,1,1795732920.2072782516,1795732920.7310123443,0.52322072500101057812,268218368,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"macs":883261440,"params":14066459,"weights":"best","est_activation_bytes":2097152.0,"est_arithmetic_s":0.0,"est_parameter_bytes":56265836.0,"est_process_bytes":314572800.0,"est_s":1.5,"est_start_s":1.5,"est_steps_s":0.0,"est_traffic_s":0.0}');
INSERT INTO stages VALUES('45e01ff5f7db912881d672cc0c91a365','937e688dda56','verify','onnx','','done',NULL,1,1795732920.731272459,1795732921.4093291759,0.6774320889999216888,376365056,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"verify_tolerance":0.0050000000000000001,"verify_unit":"normalised units","est_activation_bytes":2097152.0,"est_arithmetic_s":0.092974888421052629,"est_parameter_bytes":56265836.0,"est_process_bytes":314572800.0,"est_s":1.7991352724210525,"est_start_s":1.5,"est_steps_s":0.20000000000000001,"est_traffic_s":0.0061603839999999997}');
INSERT INTO stages VALUES('eac7c32e3879f5f6fca2917dc2ac959a','937e688dda56','samples','','','done',NULL,1,1795732921.4096281528,1795732921.9500725268,0.53985490200102503877,254992384,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"est_activation_bytes":2097152.0,"est_arithmetic_s":0.023243722105263157,"est_parameter_bytes":56265836.0,"est_process_bytes":314572800.0,"est_s":1.6247838181052634,"est_start_s":1.5,"est_steps_s":0.10000000000000001,"est_traffic_s":0.0015400959999999999}');
INSERT INTO stages VALUES('75e7a8ffa1412ad19c0eebe17d077cb9','b2b826d7e0fc','bench','onnx','cpu','done',NULL,1,1795732921.9503109455,1795732927.0590908526,5.1082348430009005824,35160064,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"est_activation_bytes":262144.0,"est_activation_ms":0.77013333333333334,"est_arithmetic_ms":0.39766186666666664,"est_arithmetic_s":0.0,"est_launch_ms":0.20000000000000001,"est_parameter_bytes":3757804.0,"est_process_bytes":62914560.0,"est_s":6.0,"est_start_s":6.0,"est_steps_s":0.0,"est_traffic_s":0.0,"est_weight_ms":0.62630066666666662}');
INSERT INTO stages VALUES('db28a85de916007295ff83c6133accfe','937e688dda56','bench','onnx','cpu','done',NULL,1,1795732927.0594072341,1795732932.4785749912,5.418684369000402512,172707840,'07ebf9ea0e4bcb80fd164da8fd2bc470','{"est_activation_bytes":2097152.0,"est_activation_ms":3.0801919999999998,"est_arithmetic_ms":29.442048,"est_arithmetic_s":0.0,"est_launch_ms":0.20000000000000001,"est_parameter_bytes":56265836.0,"est_process_bytes":62914560.0,"est_s":6.0,"est_start_s":6.0,"est_steps_s":0.0,"est_traffic_s":0.0,"est_weight_ms":9.3776393333333328}');
CREATE TABLE metrics (           -- epoch >= 0: a learning curve; -1: the stage's final value
  stage_key TEXT NOT NULL REFERENCES stages(key),
  trial   TEXT NOT NULL,
  name    TEXT NOT NULL,         -- train_loss, val_loss, ssim, psnr, l1, ms_ssim, lr, images_per_s, verify_max_abs,
                                 -- and with a prefix: untrained_ssim, identity_ssim, val_loss.gram.1
  epoch   INTEGER NOT NULL DEFAULT -1,
  value   REAL,                  -- NULL for a value that is not a number
  PRIMARY KEY (stage_key, name, epoch)
) WITHOUT ROWID;
INSERT INTO metrics VALUES('45e01ff5f7db912881d672cc0c91a365','937e688dda56','verify_images',-1,2.0);
INSERT INTO metrics VALUES('45e01ff5f7db912881d672cc0c91a365','937e688dda56','verify_max_abs',-1,2.0489096641540527343e-06);
INSERT INTO metrics VALUES('45e01ff5f7db912881d672cc0c91a365','937e688dda56','verify_mean_abs',-1,1.8541721402698385645e-07);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_l1',-1,0.060190236195921897888);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_ms_ssim',-1,0.86814373731613159179);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_psnr',-1,21.203660011291503907);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_ssim',-1,0.78077837824821472167);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_val_loss',-1,1.3355007171630859375);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_val_loss.feature.0',-1,0.15324981510639190673);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_val_loss.gram.0',-1,0.91628584265708923339);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','identity_val_loss.pixel',-1,0.26596505939960479736);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','l1',-1,0.17888438701629638671);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','l1',0,0.17368690669536590576);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','ms_ssim',-1,0.087046597152948379516);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','ms_ssim',0,0.076683605089783668518);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','psnr',-1,13.343987941741943358);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','psnr',0,13.497765064239501953);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','ssim',-1,0.27494613081216812133);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','ssim',0,0.27295264601707458496);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','val_loss',-1,6.0502147674560546875);
INSERT INTO metrics VALUES('6f880162d6abe9aae7f389db6dcf375d','b2b826d7e0fc','val_loss',0,6.0030612945556640625);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_l1',-1,0.060190236195921897888);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_ms_ssim',-1,0.86814373731613159179);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_psnr',-1,21.203660011291503907);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_ssim',-1,0.78077837824821472167);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_val_loss',-1,1.3355007171630859375);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_val_loss.feature.0',-1,0.15324981510639190673);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_val_loss.gram.0',-1,0.91628584265708923339);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','identity_val_loss.pixel',-1,0.26596505939960479736);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','l1',-1,0.18303943425416946411);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','l1',0,0.18146160244941711425);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','ms_ssim',-1,0.019177382811903953552);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','ms_ssim',0,0.033063340932130813598);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','psnr',-1,13.256714820861816405);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','psnr',0,13.303124427795410156);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','ssim',-1,0.30452394485473632812);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','ssim',0,0.30892348289489746093);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','val_loss',-1,6.1398324966430664062);
INSERT INTO metrics VALUES('89aa3bc1c68e635d5214afe546179f57','937e688dda56','val_loss',0,6.1434049606323242187);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','best_epoch',-1,1.0);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','epochs',-1,1.0);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','images_per_s',1,15.685702976168336419);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','l1',1,0.18303943425416946411);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','lr',1,4.0000000000000002489e-09);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','ms_ssim',1,0.019177397713065147399);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','psnr',1,13.256714344024658203);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','ssim',1,0.30452385544776916503);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','train_loss',-1,5.3423825899759931346);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','train_loss',1,5.3423825899759931346);
INSERT INTO metrics VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','val_loss',1,6.1398334503173828125);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','best_epoch',-1,1.0);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','epochs',-1,1.0);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','images_per_s',1,33.677713398415860979);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','l1',1,0.17888438701629638671);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','lr',1,4.0000000000000002489e-09);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','ms_ssim',1,0.08704650774598121643);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','psnr',1,13.343987941741943358);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','ssim',1,0.27494617551565170288);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','train_loss',-1,5.407154083251953125);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','train_loss',1,5.407154083251953125);
INSERT INTO metrics VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','val_loss',1,6.0502157211303710937);
INSERT INTO metrics VALUES('cd92dfd3e9a5b106dc39fc2bb1905584','b2b826d7e0fc','verify_images',-1,2.0);
INSERT INTO metrics VALUES('cd92dfd3e9a5b106dc39fc2bb1905584','b2b826d7e0fc','verify_max_abs',-1,1.5185214579105377197e-06);
INSERT INTO metrics VALUES('cd92dfd3e9a5b106dc39fc2bb1905584','b2b826d7e0fc','verify_mean_abs',-1,1.2917286795754989725e-07);
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
INSERT INTO artifacts VALUES('38a1c8062d4d701e3c656b07672f21a3','b2b826d7e0fc','sample','png','face_000003','trials/b2b826d7e0fc/samples/face_000003.png',10059,'7d67c9c3f43ee4c1cdfe95c22ab4b785');
INSERT INTO artifacts VALUES('38a1c8062d4d701e3c656b07672f21a3','b2b826d7e0fc','sample','png','face_000007','trials/b2b826d7e0fc/samples/face_000007.png',10785,'73afe0b35a9baebcb41d8c0ce81e2506');
INSERT INTO artifacts VALUES('38a1c8062d4d701e3c656b07672f21a3','b2b826d7e0fc','sample_input','png','face_000003','trials/b2b826d7e0fc/samples/face_000003.input.png',10466,'9ae6327663d64f72e0ed27c398c8e7d2');
INSERT INTO artifacts VALUES('38a1c8062d4d701e3c656b07672f21a3','b2b826d7e0fc','sample_input','png','face_000007','trials/b2b826d7e0fc/samples/face_000007.input.png',10918,'105bedd5d470cb7ec5e3fce7edbe3108');
INSERT INTO artifacts VALUES('38a1c8062d4d701e3c656b07672f21a3','b2b826d7e0fc','sample_target','png','face_000003','trials/b2b826d7e0fc/samples/face_000003.target.png',3776,'924cecf16cf637e4448887b7afd309a1');
INSERT INTO artifacts VALUES('38a1c8062d4d701e3c656b07672f21a3','b2b826d7e0fc','sample_target','png','face_000007','trials/b2b826d7e0fc/samples/face_000007.target.png',4637,'7ee198728b01aa72045452d87bd0d68f');
INSERT INTO artifacts VALUES('3d5a979ed0892c4ade028e4947b17089','b2b826d7e0fc','model','onnx','','trials/b2b826d7e0fc/model.onnx',102458,'9788f59011817f60e670f44218208a79');
INSERT INTO artifacts VALUES('4942758b5261386dbf48872677f4810a','937e688dda56','model','onnx','','trials/937e688dda56/screen.onnx',37392689,'95c7a3c7c3e4d8c7c1c4d242b3cdc428');
INSERT INTO artifacts VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','best','safetensors','','trials/937e688dda56/best.safetensors',56281780,'f67d647f78823e019e8c8dd1e1774260');
INSERT INTO artifacts VALUES('937e688dda56f49b3eca54339c66d7e7','937e688dda56','last','safetensors','','trials/937e688dda56/last.safetensors',56281780,'7607562114ae097eb0b0e21786a6ceed');
INSERT INTO artifacts VALUES('a7303c568aa8b2f5f4fc51e07501a546','b2b826d7e0fc','model','onnx','','trials/b2b826d7e0fc/screen.onnx',102458,'7b6f5101294f4f6ac505f77f7eacb40d');
INSERT INTO artifacts VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','best','safetensors','','trials/b2b826d7e0fc/best.safetensors',3836364,'c1f286182ce73131a98673e52e0a3383');
INSERT INTO artifacts VALUES('b2b826d7e0fc04796c576bc9fe64c55b','b2b826d7e0fc','last','safetensors','','trials/b2b826d7e0fc/last.safetensors',3836364,'85d56c486ddfc674fc6bd06c83491860');
INSERT INTO artifacts VALUES('e56de80b35f6520c27186f3092f9b68e','937e688dda56','model','onnx','','trials/937e688dda56/model.onnx',37392689,'e4446737132dced2786049488126fb16');
INSERT INTO artifacts VALUES('eac7c32e3879f5f6fca2917dc2ac959a','937e688dda56','sample','png','face_000003','trials/937e688dda56/samples/face_000003.png',8391,'5a3003f8dd4ba1a69b6153b15da77963');
INSERT INTO artifacts VALUES('eac7c32e3879f5f6fca2917dc2ac959a','937e688dda56','sample','png','face_000007','trials/937e688dda56/samples/face_000007.png',9315,'27a39849b91c5752c0729f077595a606');
INSERT INTO artifacts VALUES('eac7c32e3879f5f6fca2917dc2ac959a','937e688dda56','sample_input','png','face_000003','trials/937e688dda56/samples/face_000003.input.png',10466,'9ae6327663d64f72e0ed27c398c8e7d2');
INSERT INTO artifacts VALUES('eac7c32e3879f5f6fca2917dc2ac959a','937e688dda56','sample_input','png','face_000007','trials/937e688dda56/samples/face_000007.input.png',10918,'105bedd5d470cb7ec5e3fce7edbe3108');
INSERT INTO artifacts VALUES('eac7c32e3879f5f6fca2917dc2ac959a','937e688dda56','sample_target','png','face_000003','trials/937e688dda56/samples/face_000003.target.png',3776,'924cecf16cf637e4448887b7afd309a1');
INSERT INTO artifacts VALUES('eac7c32e3879f5f6fca2917dc2ac959a','937e688dda56','sample_target','png','face_000007','trials/937e688dda56/samples/face_000007.target.png',4637,'7ee198728b01aa72045452d87bd0d68f');
CREATE TABLE devices (
  name    TEXT PRIMARY KEY,      -- cpu, ...
  info    TEXT NOT NULL          -- JSON: what the device says it is
);
INSERT INTO devices VALUES('cpu','{"cores":2,"cpu":"AMD EPYC","gpu":false,"kernel":"6.18.44-fc-v595","memory_bytes":25276514304,"os":"Linux"}');
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
INSERT INTO latencies VALUES(1,'a7303c568aa8b2f5f4fc51e07501a546','b2b826d7e0fc','untrained','cpu',1,64,64,0,3010,6.5888069984794128686,1.2183939998067216947,0.51033599853515621003,0.65001300048828125621,0.7138870239257812944,0.79702099609374998934,0.66440908180819790995,0.075320770741622591892,1,0,34664448,X'','{"build":"ORT Build Info: git-branch=HEAD, git-commit-id=f2c39fe, fp8-kv-cache=1, build type=Release","cap_n":25,"capped":false,"celsius_after":null,"celsius_before":null,"clock":"CLOCK_MONOTONIC","cpu":"AMD EPYC","cpus":2,"governor_after":null,"governor_before":null,"load_after":0.62060546875,"load_before":0.62060546875,"max_ms":1.48968603515625,"mhz_after":null,"mhz_before":null,"min_n":64,"min_s":2.0,"mode":"normal","optimization":"all","percentile_rule":"sorted[floor(n*p)]","provider":"CPU","rss_runtime_bytes":24154112,"runtime":"onnxruntime","seed":0,"spinning":false,"threads":1,"timed_region":"one run: inputs ready, outputs in memory allocated before","version":"1.30.0","warmup_runs":771,"warmup_s":0.5}',1795732910.1026263236);
INSERT INTO latencies VALUES(2,'4942758b5261386dbf48872677f4810a','937e688dda56','untrained','cpu',1,64,64,0,103,151.62305699959688354,20.161746000667335465,17.714732421874998635,19.457582031249998522,20.326250000000001705,23.676304687500000056,19.56667471935679714,0.046407166066262467429,1,0,172785664,X'','{"build":"ORT Build Info: git-branch=HEAD, git-commit-id=f2c39fe, fp8-kv-cache=1, build type=Release","cap_n":25,"capped":false,"celsius_after":null,"celsius_before":null,"clock":"CLOCK_MONOTONIC","cpu":"AMD EPYC","cpus":2,"governor_after":null,"governor_before":null,"load_after":0.6513671875,"load_before":0.62060546875,"max_ms":23.764892578125,"mhz_after":null,"mhz_before":null,"min_n":64,"min_s":2.0,"mode":"normal","optimization":"all","percentile_rule":"sorted[floor(n*p)]","provider":"CPU","rss_runtime_bytes":24133632,"runtime":"onnxruntime","seed":0,"spinning":false,"threads":1,"timed_region":"one run: inputs ready, outputs in memory allocated before","version":"1.30.0","warmup_runs":26,"warmup_s":0.5}',1795732912.6591899395);
INSERT INTO latencies VALUES(3,'75e7a8ffa1412ad19c0eebe17d077cb9','b2b826d7e0fc','onnx','cpu',1,64,64,0,3031,7.8297549989656545221,1.1459870001999661326,0.5066000061035156321,0.64582598876953123401,0.73676098632812503375,1.0845159912109374467,0.65983212043664041246,0.16627879523000732575,1,0,34664448,X'','{"build":"ORT Build Info: git-branch=HEAD, git-commit-id=f2c39fe, fp8-kv-cache=1, build type=Release","cap_n":25,"capped":false,"celsius_after":null,"celsius_before":null,"clock":"CLOCK_MONOTONIC","cpu":"AMD EPYC","cpus":2,"governor_after":null,"governor_before":null,"load_after":0.70556640625,"load_before":0.6796875,"max_ms":1.6752900390625001,"mhz_after":null,"mhz_before":null,"min_n":64,"min_s":2.0,"mode":"normal","optimization":"all","percentile_rule":"sorted[floor(n*p)]","provider":"CPU","rss_runtime_bytes":24154112,"runtime":"onnxruntime","seed":0,"spinning":false,"threads":1,"timed_region":"one run: inputs ready, outputs in memory allocated before","version":"1.30.0","warmup_runs":838,"warmup_s":0.5}',1795732921.9530360698);
INSERT INTO latencies VALUES(4,'75e7a8ffa1412ad19c0eebe17d077cb9','b2b826d7e0fc','onnx','cpu',0,64,64,0,2917,8.3628640004462795332,1.9389709996175952255,0.51443200683593748312,0.68550500488281251865,0.72963000488281248845,1.0180469970703125426,0.68554464113839008732,0.10507439109696355139,1,0,35028992,X'','{"build":"ORT Build Info: git-branch=HEAD, git-commit-id=f2c39fe, fp8-kv-cache=1, build type=Release","cap_n":25,"capped":false,"celsius_after":null,"celsius_before":null,"clock":"CLOCK_MONOTONIC","cpu":"AMD EPYC","cpus":2,"governor_after":null,"governor_before":null,"load_after":0.70556640625,"load_before":0.70556640625,"max_ms":1.4847879638671875,"mhz_after":null,"mhz_before":null,"min_n":64,"min_s":2.0,"mode":"normal","optimization":"all","percentile_rule":"sorted[floor(n*p)]","provider":"CPU","rss_runtime_bytes":24387584,"runtime":"onnxruntime","seed":0,"spinning":false,"threads":2,"timed_region":"one run: inputs ready, outputs in memory allocated before","version":"1.30.0","warmup_runs":660,"warmup_s":0.5}',1795732924.5058901309);
INSERT INTO latencies VALUES(5,'db28a85de916007295ff83c6133accfe','937e688dda56','onnx','cpu',1,64,64,0,106,136.9709200007491745,19.639632999314926564,17.3251953125,18.733761718749999403,20.324326171875000568,24.574650390624999118,19.014708892246460436,0.081481234805589192182,1,0,172707840,X'','{"build":"ORT Build Info: git-branch=HEAD, git-commit-id=f2c39fe, fp8-kv-cache=1, build type=Release","cap_n":25,"capped":false,"celsius_after":null,"celsius_before":null,"clock":"CLOCK_MONOTONIC","cpu":"AMD EPYC","cpus":2,"governor_after":null,"governor_before":null,"load_after":0.7294921875,"load_before":0.70556640625,"max_ms":26.716142578125002,"mhz_after":null,"mhz_before":null,"min_n":64,"min_s":2.0,"mode":"normal","optimization":"all","percentile_rule":"sorted[floor(n*p)]","provider":"CPU","rss_runtime_bytes":24043520,"runtime":"onnxruntime","seed":0,"spinning":false,"threads":1,"timed_region":"one run: inputs ready, outputs in memory allocated before","version":"1.30.0","warmup_runs":27,"warmup_s":0.5}',1795732927.0610127448);
INSERT INTO latencies VALUES(6,'db28a85de916007295ff83c6133accfe','937e688dda56','onnx','cpu',0,64,64,0,151,130.78253700041386764,12.687168000411475077,10.060056640624999602,10.606305664062499971,19.493136718750001534,28.136349609374999403,13.255155118222267773,0.34428833463750202481,1,0,163561472,X'','{"build":"ORT Build Info: git-branch=HEAD, git-commit-id=f2c39fe, fp8-kv-cache=1, build type=Release","cap_n":25,"capped":false,"celsius_after":null,"celsius_before":null,"clock":"CLOCK_MONOTONIC","cpu":"AMD EPYC","cpus":2,"governor_after":null,"governor_before":null,"load_after":0.7294921875,"load_before":0.7294921875,"max_ms":30.955644531250002,"mhz_after":null,"mhz_before":null,"min_n":64,"min_s":2.0,"mode":"normal","optimization":"all","percentile_rule":"sorted[floor(n*p)]","provider":"CPU","rss_runtime_bytes":24354816,"runtime":"onnxruntime","seed":0,"spinning":false,"threads":2,"timed_region":"one run: inputs ready, outputs in memory allocated before","version":"1.30.0","warmup_runs":46,"warmup_s":0.5}',1795732929.7839510441);
CREATE TABLE decisions (  stage_key TEXT NOT NULL REFERENCES stages(key),  trial     TEXT NOT NULL,  rule      TEXT NOT NULL,  rule_key  TEXT NOT NULL,  epoch     INTEGER NOT NULL,  metric    TEXT NOT NULL,  value     REAL,  threshold REAL,  stop      INTEGER NOT NULL,  n_peers   INTEGER NOT NULL,  peers     TEXT NOT NULL,  reason    TEXT NOT NULL,  decided   REAL NOT NULL,  PRIMARY KEY (stage_key, rule_key, epoch)) WITHOUT ROWID;
CREATE INDEX stages_trial ON stages(trial, stage);
CREATE INDEX metrics_trial ON metrics(trial, name, epoch);
CREATE INDEX latencies_trial ON latencies(trial);
CREATE INDEX decisions_trial ON decisions(trial, epoch);
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
CREATE VIEW finals AS
SELECT trial, max(CASE name WHEN 'val_loss' THEN value END) AS val_loss,
       max(CASE name WHEN 'ssim' THEN value END) AS ssim, max(CASE name WHEN 'ms_ssim' THEN value END) AS ms_ssim,
       max(CASE name WHEN 'psnr' THEN value END) AS psnr, max(CASE name WHEN 'l1' THEN value END) AS l1,
       max(CASE name WHEN 'train_loss' THEN value END) AS train_loss,
       max(CASE name WHEN 'identity_ssim' THEN value END) AS identity_ssim,
       max(CASE name WHEN 'untrained_ssim' THEN value END) AS untrained_ssim,
       max(CASE name WHEN 'verify_max_abs' THEN value END) AS verify_max_abs
FROM metrics WHERE epoch = -1 GROUP BY trial;
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
CREATE VIEW results_all AS
SELECT r.trial, r.sweep, r.arch, r.backbone, r.seed, r.state, r.ssim, r.ms_ssim, r.psnr, r.l1, r.val_loss,
       l.format, l.device, l.threads, l.height, l.width, l.visits, l.n, l.min_ms, l.p50_ms, l.p90_ms, l.p99_ms,
       l.load_ms, l.first_ms, l.unstable, l.busy, l.rss_bytes, r.params, r.macs
FROM results r JOIN latency_summary l ON l.trial = r.trial;
COMMIT;
PRAGMA user_version = 3;
PRAGMA application_id = 1398228304;
