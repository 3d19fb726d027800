-- wrk posts one file again and again: wrk -s post.lua URL -- FILE CONTENT_TYPE [BODIES]
-- With BODIES, which load.py writes, it posts each of these in turn.
-- At the end it prints one line of JSON; times are in microseconds.

function init(args)
    local file = assert(io.open(args[1], "rb"))
    wrk.method = "POST"
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = args[2]
    file:close()
    if args[3] then
        post_in_turn(read_bodies(args[3]))
    end
end

function read_bodies(path)
    local file, bodies = assert(io.open(path, "rb")), {}
    for length in function() return file:read("*n") end do
        file:read(1) -- the end of the line
        bodies[#bodies + 1] = file:read(length)
    end
    file:close()
    return bodies
end

function post_in_turn(bodies)
    local requests = {}
    for place, body in ipairs(bodies) do
        requests[place] = wrk.format(nil, nil, nil, body)
    end
    -- Another one is the first each time.
    math.randomseed(os.time())
    local turn = math.random(#requests)
    -- Under this name wrk calls it for each request.
    request = function()
        turn = turn % #requests + 1
        return requests[turn]
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d,'
            .. ' "failed": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout
    ))
end
