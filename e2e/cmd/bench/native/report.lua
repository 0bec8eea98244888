-- What wrk sends, and what it says at the end: one line of JSON, times in microseconds.
-- BENCH_KEY is the key, if any. BENCH_PATHS is a file of paths, one a line, of which each request asks for a random one.
-- BENCH_CLOSE asks for a new connection each time. BENCH_UPLOAD is how many bytes each request brings.
wrk.headers["x-api-key"] = os.getenv("BENCH_KEY")
if os.getenv("BENCH_CLOSE") then wrk.headers["Connection"] = "close" end

local upload = tonumber(os.getenv("BENCH_UPLOAD"))
if upload then
  wrk.method = "POST"
  wrk.body = string.rep("x", upload)
end

local file = os.getenv("BENCH_PATHS")
if file then
  local paths = {}
  for line in io.lines(file) do paths[#paths + 1] = line end
  local requests = {}
  math.randomseed(20261123)
  init = function()
    for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end
  end
  request = function() return requests[math.random(#requests)] end
end

done = function(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '\n{"completed":%d,"seconds":%.4f,"failed":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f,"max":%.1f}\n',
    summary.requests, summary.duration / 1e6, failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
