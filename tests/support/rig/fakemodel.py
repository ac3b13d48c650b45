#!/usr/bin/env python3
"""fakemodel - a scripted, deterministic stand-in for a model API, for tests.

It speaks just enough of two wire protocols for the real agent CLIs to run a
whole session against it, on loopback only, with no network and no key:

  * Anthropic Messages   POST /v1/messages, /v1/messages/count_tokens   (Claude Code)
  * OpenAI Responses     POST /v1/responses                             (Codex)

What the "model" does is a SCRIPT: a list of steps, one step per model
response.  The user's prompt picks the script with a marker:

    [[script:commit file=a.txt msg="add a"]]      named script + parameters
    [[steps:[{"bash":"ls"},{"say":"done"}]]]      inline steps (JSON)

The server is (nearly) stateless: the step number is worked out from the
conversation the CLI sends, so retries, resumes, restarts of this server and
many sessions in parallel all behave.  Only error `times` counters and gates
live in memory.

Python 3.8+, standard library only.  README.md has the script language.
"""
import argparse
import gzip
import hashlib
import html
import http.server
import json
import os
import re
import select
import shlex
import signal
import socket
import sys
import threading
import time
import zlib
from urllib.parse import parse_qs, urlsplit

VERSION = "1.0"

# --------------------------------------------------------------------------
# built-in scripts.  {{x}} is replaced by a parameter (marker's k=v, then the
# script's own defaults), or by {{cwd}}, {{session}}, {{prompt}}, {{dialect}}.
# --------------------------------------------------------------------------
BUILTIN = {
    "default": {"steps": [{"say": "ok: {{prompt}}"}]},
    "hello": {"steps": [{"say": "Hello from the fake model."}]},
    # one file, one commit - the smallest end-to-end task
    "commit": {
        "params": {"file": "fake.txt", "text": "hello", "msg": "add {{file}}"},
        "steps": [
            {"say": "I'll create {{file}}.", "write": {"path": "{{file}}", "content": "{{text}}\n"}},
            {"say": "Now I'll commit it.", "bash": "git add -A && git commit -q -m '{{msg}}' && git log --oneline -1"},
            {"say": "Done: committed {{file}}."},
        ],
    },
    # read, edit in place, run the 'tests', commit
    "fix-bug": {
        "params": {"file": "calc.py", "old": "return a - b", "new": "return a + b", "msg": "fix add()"},
        "steps": [
            {"say": "Let me look at {{file}}.", "read": "{{file}}"},
            {"say": "Found it.", "edit": {"path": "{{file}}", "old": "{{old}}", "new": "{{new}}"}},
            {"bash": "git commit -qam '{{msg}}' && git log --oneline -1"},
            {"say": "Fixed: {{msg}}."},
        ],
    },
    "bash": {"params": {"cmd": "true"}, "steps": [{"bash": "{{cmd}}"}, {"say": "The command ran."}]},
    "write": {
        "params": {"file": "fake.txt", "text": "hello"},
        "steps": [{"write": {"path": "{{file}}", "content": "{{text}}\n"}}, {"say": "Wrote {{file}}."}],
    },
    "ask": {
        "params": {"q": "Which colour do you want?", "a": "Red", "b": "Blue"},
        "steps": [
            {"ask": {"question": "{{q}}", "header": "Choice", "options": ["{{a}}", "{{b}}"]}},
            {"say": "Thanks, noted."},
        ],
    },
    # a question in plain prose: the turn ends, and the agent is 'waiting for you'
    "ask-text": {
        "params": {"q": "Should I use tabs or spaces?"},
        "steps": [{"say": "Before I go on I need to know: {{q}}"}, {"say": "Understood, finished."}],
    },
    "sleep": {"params": {"s": "5"}, "steps": [{"sleep": "{{s}}", "say": "Slept {{s}} s."}]},
    "slow": {
        "params": {"s": "10", "n": "40"},
        "steps": [{"say_words": "{{n}}", "over": "{{s}}"}],
    },
    "stall": {"steps": [{"say": "Thinking about it", "stall": "mid"}]},
    "stall-before": {"steps": [{"stall": "before"}]},
    "gate": {
        "params": {"g": "g"},
        "steps": [{"gate": "{{g}}", "say": "Gate {{g}} opened."}],
    },
    "long-cmd": {"params": {"s": "600"}, "steps": [{"bash": "timeout {{s}} tail -f /dev/null; echo ended"}, {"say": "The long command ended."}]},
    "bg": {
        "params": {"s": "600"},
        "steps": [{"bash": "nohup timeout {{s}} tail -f /dev/null >/dev/null 2>&1 & echo started $!"}, {"say": "Left one in the background."}],
    },
    "rate-limit": {"steps": [{"error": {"status": 429, "type": "rate_limit_error", "message": "Number of request tokens has exceeded your per-minute rate limit", "retry_after": 1}}]},
    "rate-limit-once": {
        "params": {"n": "1"},
        "steps": [{"error": {"status": 429, "type": "rate_limit_error", "message": "rate limited", "retry_after": 1, "times": "{{n}}"}, "say": "Recovered after {{n}} rate-limit errors."}],
    },
    "overloaded": {"steps": [{"error": {"status": 529, "type": "overloaded_error", "message": "Overloaded"}}]},
    "overloaded-once": {
        "params": {"n": "1"},
        "steps": [{"error": {"status": 529, "type": "overloaded_error", "message": "Overloaded", "times": "{{n}}"}, "say": "Recovered after {{n}} overload errors."}],
    },
    "server-error": {"steps": [{"error": {"status": 500, "type": "api_error", "message": "Internal server error"}}]},
    "auth-error": {"steps": [{"error": {"status": 401, "type": "authentication_error", "message": "invalid x-api-key"}}]},
    "bad-request": {"steps": [{"error": {"status": 400, "type": "invalid_request_error", "message": "scripted bad request"}}]},
    "too-long": {"steps": [{"error": {"status": 400, "type": "invalid_request_error", "message": "prompt is too long: 250000 tokens > 200000 maximum", "code": "context_length_exceeded"}}]},
    # a plan's usage window is used up.  Claude: unified headers; Codex: usage_limit_reached
    "usage-limit": {"steps": [{"error": {
        "status": 429, "type": "rate_limit_error", "message": "This request would exceed your account's rate limit. Please try again later.",
        "codex_body": {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus", "resets_in_seconds": 3600}},
        "headers": {"x-should-retry": "false", "anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-representative-claim": "five_hour",
                    "anthropic-ratelimit-unified-reset": "{{now+3600}}"}}}]},
    "stream-error": {"steps": [{"say": "partial", "stream_error": {"type": "overloaded_error", "message": "Overloaded"}}]},
    "drop": {"steps": [{"say": "partial", "drop": True}]},
    "huge": {"params": {"n": "200000"}, "steps": [{"say_bytes": "{{n}}"}]},
    "huge-cmd": {"params": {"n": "200000"}, "steps": [{"bash": "head -c {{n}} /dev/zero | tr '\\0' x | fold -w 100"}, {"say": "Big output done."}]},
    "outside": {
        "params": {"path": "{{cwd}}/../fakemodel-outside.txt"},
        "steps": [{"say": "I'll write outside the worktree.", "write": {"path": "{{path}}", "content": "outside\n"}}, {"say": "Tried to write {{path}}."}],
    },
    "outside-cmd": {
        "params": {"path": "{{cwd}}/../fakemodel-outside.txt"},
        "steps": [{"bash": "echo outside > {{path}}"}, {"say": "Tried to write {{path}}."}],
    },
    # asks for approval in Codex's own way (require_escalated); plain Bash for Claude
    "escalate": {
        "params": {"cmd": "touch {{cwd}}/../fakemodel-escalated"},
        "steps": [{"bash": {"cmd": "{{cmd}}", "escalate": True, "why": "Needs to write outside the sandbox"}}, {"say": "Escalation handled."}],
    },
    "think": {"steps": [{"think": "Let me think about this.", "say": "I have thought about it."}]},
    "plan": {"steps": [{"plan": "1. do a thing\n2. do another"}, {"say": "Plan handled."}]},
    "subagent": {
        "params": {"inner": "hello"},
        "steps": [{"task": {"description": "inner task", "prompt": "[[script:{{inner}}]] please"}}, {"say": "The subagent is finished."}],
    },
    "many": {"params": {"n": "5"}, "steps": [{"repeat": "{{n}}", "bash": "echo step {{i}} >> many.txt"}, {"say": "All {{n}} steps done."}]},
    # OSC title, BEL, clear-screen ... in model text and in tool output
    "escapes": {
        "steps": [
            {"say": "evil \u001b]0;PWNED\u0007 \u001b[2J \u001b]52;c;aGk=\u0007 text",
             "bash": "printf '\\033]0;PWNED\\007\\033[2J\\033]9;hi\\007\\n'"},
            {"say": "escapes done"},
        ]
    },
    "unicode": {"steps": [{"say": "héllo wörld \u6f22\u5b57 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2714 e\u0301 \u202erev\u202c end"}]},
}

SIDE_REPLIES = (
    # (regex on the last user/system text, reply)
    (re.compile(r"isNewTopic|title", re.I), '{"isNewTopic": true, "title": "Fake title"}'),
    (re.compile(r"SUGGESTION MODE|suggest", re.I), ""),
    (re.compile(r"summar", re.I), "<analysis>fake</analysis>\n<summary>\nFake summary of the conversation so far.\n</summary>"),
)

MARK = re.compile(r"\[\[(script|steps):")
STEPID = re.compile(r"fm[0-9a-f]{8}s(\d+)k(\d+)")


# --------------------------------------------------------------------------
# state
# --------------------------------------------------------------------------
class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.cond = threading.Condition(self.lock)
        self.seq = 0
        self.errors = {}          # (conv, mark, step) -> errors already served
        self.gates = set()        # names of open gates
        self.waiting = {}         # gate name -> waiters
        self.inflight = 0
        self.scripts = dict(BUILTIN)
        self.log = []             # last log records
        self.logf = None
        self.stop = threading.Event()
        self.opts = None

    def record(self, rec):
        line = json.dumps(rec, ensure_ascii=True, sort_keys=False)
        with self.lock:
            self.log.append(rec)
            if len(self.log) > 5000:
                del self.log[:1000]
            if self.logf:
                self.logf.write(line + "\n")
                self.logf.flush()
            self.cond.notify_all()


S = State()


class ClientGone(Exception):
    pass


# --------------------------------------------------------------------------
# script handling
# --------------------------------------------------------------------------
def parse_marker(text):
    """-> (name, params, inline_steps) for the LAST marker in text, or None"""
    found = None
    if "[[" not in text:
        return None
    if text.lstrip().startswith("<hook_prompt"):  # Codex wraps a Stop hook's reason, XML-escaped
        text = html.unescape(text)
    for m in MARK.finditer(text):
        if m.group(1) == "steps":
            try:
                val, _ = json.JSONDecoder().raw_decode(text[m.end():].lstrip())
                found = ("(inline)", {}, val)
            except ValueError:
                found = ("(bad-inline)", {}, [{"say": "fakemodel: the inline [[steps:...]] is not valid JSON"}])
        else:
            end = text.find("]]", m.end())
            if end < 0:
                continue
            body = text[m.end():end]
            try:
                parts = shlex.split(body)
            except ValueError:
                parts = body.split()
            if not parts:
                continue
            params = dict(p.split("=", 1) for p in parts[1:] if "=" in p)
            found = (parts[0], params, None)
    return found


def subst(v, env):
    if isinstance(v, str):
        for _ in range(4):
            new = re.sub(r"\{\{([\w+-]+)\}\}", lambda m: _lookup(m, env), v)
            if new == v:
                break
            v = new
        return v
    if isinstance(v, list):
        return [subst(x, env) for x in v]
    if isinstance(v, dict):
        return {k: subst(x, env) for k, x in v.items()}
    return v


def _lookup(m, env):
    k = m.group(1)
    if k.startswith("now"):
        return str(int(time.time()) + int(k[3:] or 0))
    return str(env.get(k, m.group(0)))


def num(v, default=0.0):
    try:
        return float(v)
    except (TypeError, ValueError):
        return default


def expand(steps, env):
    out = []
    for st in steps:
        if not isinstance(st, dict):
            st = {"say": str(st)}
        if "repeat" in st:
            n = int(num(subst(st["repeat"], env), 1))
            base = {k: v for k, v in st.items() if k != "repeat"}
            for i in range(n):
                out.append((base, dict(env, i=str(i))))
        else:
            out.append((st, env))
    return out


def pick_step(conv):
    """conv: dict(session, marker, after, prompt, cwd, dialect) -> (name, stepno, step)"""
    mk = conv["marker"]
    if mk is None:
        name, params, inline = (S.opts.default, {}, None)
    else:
        name, params, inline = mk
    script = {"steps": inline} if inline is not None else S.scripts.get(name)
    if script is None:
        return name, conv["after"], {"say": "fakemodel: no script named %r" % name}
    if isinstance(script, list):
        script = {"steps": script}
    env = dict(script.get("params") or {})
    env.update(params)
    env.update(cwd=conv["cwd"] or ".", session=conv["session"], prompt=conv["prompt"][:200],
               dialect=conv["dialect"], step=str(conv["after"]))
    steps = expand(script.get("steps") or [], env)
    n = conv["after"]
    if n < len(steps):
        st, e = steps[n]
    else:
        rest = expand(script.get("after") or [{"say": "ack: {{prompt}}"}], env)
        st, e = rest[(n - len(steps)) % len(rest)]
    st = dict(st)
    over = st.pop(conv["agent"], None)
    for a in ("claude", "codex"):
        st.pop(a, None)
    if isinstance(over, dict):
        st.update(over)
    return name, n, subst(st, e)


WORDS = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
         "sigma tau upsilon phi chi psi omega").split()


def step_text(st):
    if "say_bytes" in st:
        n = int(num(st["say_bytes"], 1000))
        line = " ".join(WORDS) + "\n"
        return (line * (n // len(line) + 1))[:n]
    if "say_words" in st:
        n = int(num(st["say_words"], 10))
        return " ".join(WORDS[i % len(WORDS)] for i in range(n))
    return st.get("say") or ""


def pause(sec, check):
    end = time.monotonic() + sec
    while not S.stop.is_set():
        left = end - time.monotonic()
        if left <= 0:
            return
        check()
        S.stop.wait(min(left, 0.1))


# --------------------------------------------------------------------------
# conversation -> (marker, how many model steps since it, last prompt, cwd)
# --------------------------------------------------------------------------
def texts(content):
    if isinstance(content, str):
        return [content]
    out = []
    for c in content or []:
        if isinstance(c, dict) and c.get("type") in ("text", "input_text", "output_text") and isinstance(c.get("text"), str):
            out.append(c["text"])
    return out


def is_noise(t):
    s = t.lstrip()
    return (s.startswith("<system-reminder>") or s.startswith("<environment_context>")
            or s.startswith("<user_instructions>") or s.startswith("# AGENTS.md")
            or s.startswith("<permissions") or s.startswith("<skill"))


def is_context(t):
    """ambient text (git status, CLAUDE.md, AGENTS.md): a marker in there is not an order"""
    s = t.lstrip()
    return (s.startswith("<system-reminder>") and ("gitStatus" in s[:600] or "claudeMd" in s[:600])) or s.startswith("# AGENTS.md") \
        or s.startswith("<user_instructions>") or s.startswith("<environment_context>")


def clip(t, n=200):
    return re.sub(r"\s+", " ", MARK_ANY.sub("", t)).strip()[:n]


MARK_ANY = re.compile(r"\[\[(?:script:[^\]]*|steps:.*?)\]\]", re.S)


def walk_anthropic(body):
    marker, after, prompt, seen = None, 0, "", False
    midx = -1
    for i, m in enumerate(body.get("messages") or []):
        role = m.get("role")
        if role == "user":
            for t in texts(m.get("content")):
                mk = None if is_context(t) else parse_marker(t)
                if mk:
                    marker, after, midx, seen = mk, 0, i, True
                if not is_noise(t):
                    prompt = t
        elif role == "assistant":
            c = m.get("content")
            stepno = None
            if isinstance(c, list):
                for b in c:
                    if isinstance(b, dict) and b.get("type") == "tool_use":
                        g = STEPID.search(b.get("id") or "")
                        if g:
                            stepno = int(g.group(1))
            after = stepno + 1 if stepno is not None else after + 1
    return marker, after, clip(prompt), midx


def walk_responses(body):
    marker, after, prompt, midx = None, 0, "", -1
    pending = False
    for i, it in enumerate(body.get("input") or []):
        t = it.get("type") or "message"
        if t == "message" and it.get("role") == "assistant":
            pending = True
        elif t in ("function_call", "custom_tool_call", "local_shell_call"):
            g = STEPID.search(it.get("call_id") or "")
            if g:
                after = int(g.group(1)) + 1
            elif pending:
                after += 1
            pending = False
        elif t == "reasoning":
            pass
        elif t == "agent_message":  # a parent agent's order to this sub-agent: {"type": "encrypted_content", ...} echoes what we sent
            for c in it.get("content") or []:
                for v in c.values():
                    mk = parse_marker(v) if isinstance(v, str) else None
                    if mk:
                        marker, after, midx, pending = mk, 0, i, False
        else:
            if pending:
                after += 1
                pending = False
            if t == "message" and it.get("role") == "user":
                for x in texts(it.get("content")):
                    mk = None if is_context(x) else parse_marker(x)
                    if mk:
                        marker, after, midx = mk, 0, i
                    if not is_noise(x):
                        prompt = x
    if pending:
        after += 1
    return marker, after, clip(prompt), midx


def find_cwd(raw, pats):
    for p in pats:
        m = None
        for m in re.finditer(p, raw):
            pass
        if m:
            return m.group(1)
    return ""


# --------------------------------------------------------------------------
# abstract action -> the CLI's own tool call
# --------------------------------------------------------------------------
def absolute(path, cwd):
    return path if os.path.isabs(path) or not cwd else os.path.normpath(os.path.join(cwd, path))


def actions(st):
    acts = []
    for a in [st] + list(st.get("also") or []):
        for k in ("write", "edit", "read", "bash", "ask", "plan", "todo", "task", "tool"):
            if k in a and a[k] is not None:
                acts.append((k, a[k]))
    return acts


def claude_tool(kind, v, cwd):
    if kind == "write":
        return "Write", {"file_path": absolute(v["path"], cwd), "content": v["content"]}
    if kind == "edit":
        d = {"file_path": absolute(v["path"], cwd), "old_string": v["old"], "new_string": v["new"]}
        if v.get("all"):
            d["replace_all"] = True
        return "Edit", d
    if kind == "read":
        return "Read", {"file_path": absolute(v if isinstance(v, str) else v["path"], cwd)}
    if kind == "bash":
        v = {"cmd": v} if isinstance(v, str) else v
        d = {"command": v["cmd"], "description": v.get("why") or "Run a scripted command"}
        if v.get("timeout_ms"):
            d["timeout"] = int(num(v["timeout_ms"]))
        if v.get("background"):
            d["run_in_background"] = True
        return "Bash", d
    if kind == "ask":
        opts = [o if isinstance(o, dict) else {"label": o, "description": "Choose " + o} for o in v.get("options") or ["Yes", "No"]]
        return "AskUserQuestion", {"questions": [{"question": v["question"], "header": v.get("header", "Choice"), "options": opts, "multiSelect": bool(v.get("multi"))}]}
    if kind == "plan":
        return "ExitPlanMode", {"plan": v}
    if kind == "todo":
        return "TodoWrite", {"todos": [{"content": t, "status": "pending", "activeForm": t} for t in v]}
    if kind == "task":
        return "Agent", {"description": v.get("description", "task"), "prompt": v["prompt"], "subagent_type": v.get("agent", "general-purpose")}
    return v["name"], v.get("input") or {}


def plan_file(raw):
    """the file that the CLI wants a plan in, as its instructions name it"""
    found = re.findall(r"/[\w./-]*/plans/[\w.-]+\.md", raw)
    return found[-1] if found else "no-plan-file.md"


def patch_for(kind, v):
    if kind == "write":
        body = v["content"]
        lines = body[:-1].split("\n") if body.endswith("\n") else body.split("\n")
        return "*** Begin Patch\n*** Add File: %s\n%s\n*** End Patch\n" % (v["path"], "\n".join("+" + x for x in lines))
    old = "\n".join("-" + x for x in v["old"].split("\n"))
    new = "\n".join("+" + x for x in v["new"].split("\n"))
    return "*** Begin Patch\n*** Update File: %s\n@@\n%s\n%s\n*** End Patch\n" % (v["path"], old, new)


def codex_tools(body):
    """names of the tools this request offers, and 'code' when only the JS exec tool is there"""
    names, spaces = set(), {}

    def add(ts, ns=None):
        for t in ts or []:
            if t.get("type") == "namespace":
                add(t.get("tools"), t.get("name"))
            else:
                n = t.get("name") or t.get("type")
                names.add(n)
                spaces.setdefault(n, ns)

    add(body.get("tools"))
    for it in body.get("input") or []:
        if it.get("type") == "additional_tools":
            add(it.get("tools"))
    return names, spaces


def codex_item(kind, v, names, spaces, call_id):
    """-> a Responses output item"""
    def fn(name, args):
        it = {"type": "function_call", "id": "fc_" + call_id, "call_id": call_id, "name": name, "arguments": json.dumps(args), "status": "completed"}
        if spaces.get(name) and spaces[name] != "functions":
            it["namespace"] = spaces[name]
        return it

    def custom(name, text):
        it = {"type": "custom_tool_call", "id": "ctc_" + call_id, "call_id": call_id, "name": name, "input": text, "status": "completed"}
        if spaces.get(name):
            it["namespace"] = spaces[name]
        return it

    code = "exec" in names and "exec_command" not in names
    if kind in ("write", "edit"):
        if v.get("via") == "shell" or (not code and "apply_patch" not in names):
            kind, v = "bash", {"cmd": "apply_patch <<'FAKEMODEL_EOF'\n%sFAKEMODEL_EOF" % patch_for(kind, v)}
        elif code:
            return custom("exec", "const r = await tools.apply_patch(%s);\ntext(r);\n" % json.dumps(patch_for(kind, v)))
        else:
            return custom("apply_patch", patch_for(kind, v))
    if kind == "read":
        kind, v = "bash", {"cmd": "cat %s" % shlex.quote(v if isinstance(v, str) else v["path"])}
    if kind == "bash":
        v = {"cmd": v} if isinstance(v, str) else v
        args = {"cmd": v["cmd"], "yield_time_ms": int(num(v.get("yield_ms"), 10000))}
        for k in ("workdir", "tty", "login"):
            if k in v:
                args[k] = v[k]
        if v.get("escalate"):
            args.update(sandbox_permissions="require_escalated", justification=v.get("why") or "Scripted escalation")
        if code:
            return custom("exec", "const r = await tools.exec_command(%s);\ntext(r);\n" % json.dumps(args))
        if "exec_command" in names:
            return fn("exec_command", args)
        if "shell_command" in names:
            d = {"command": v["cmd"]}
            if v.get("escalate"):
                d.update(sandbox_permissions="require_escalated", justification=v.get("why") or "Scripted escalation")
            return fn("shell_command", d)
        return fn("shell", {"command": ["bash", "-lc", v["cmd"]]})
    if kind == "ask":
        opts = [o if isinstance(o, dict) else {"label": o, "description": "Choose " + o} for o in v.get("options") or ["Yes", "No"]]
        q = {"questions": [{"id": "q1", "header": v.get("header", "Choice"), "question": v["question"], "options": opts}]}
        if code and "request_user_input" not in names:
            return custom("exec", "const r = await tools.request_user_input(%s);\ntext(r);\n" % json.dumps(q))
        return fn("request_user_input", q)
    if kind in ("plan", "todo"):
        lines = v.split("\n") if isinstance(v, str) else v
        p = {"plan": [{"step": x, "status": "pending"} for x in lines]}
        if code and "update_plan" not in names:
            return custom("exec", "const r = await tools.update_plan(%s);\ntext(r);\n" % json.dumps(p))
        return fn("update_plan", p)
    if kind == "task":
        if "spawn_agent" in names:
            return fn("spawn_agent", {"message": v["prompt"], "task_name": "inner"} if spaces.get("spawn_agent") == "collaboration" else {"message": v["prompt"]})
        return fn("spawn_agent", {"message": v["prompt"]})
    if v.get("custom"):
        return custom(v["name"], v.get("input") or "")
    return fn(v["name"], v.get("input") or {})


# --------------------------------------------------------------------------
# HTTP
# --------------------------------------------------------------------------
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fakemodel/" + VERSION
    sys_version = ""
    timeout = 3600

    def log_message(self, *a):
        pass

    # -- plumbing ----------------------------------------------------------
    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def check(self):
        """raise ClientGone when the client closed its side"""
        try:
            p = select.poll()  # not select(): no limit on descriptor numbers
            p.register(self.connection, select.POLLIN)
            if p.poll(0) and not self.connection.recv(1, socket.MSG_PEEK):
                raise ClientGone()
        except (OSError, ValueError):
            raise ClientGone()
        if S.stop.is_set():
            raise ClientGone()

    def read_body(self):
        te = (self.headers.get("transfer-encoding") or "").lower()
        if "chunked" in te:
            out = b""
            while True:
                n = int(self.rfile.readline().split(b";")[0].strip() or b"0", 16)
                if n == 0:
                    while self.rfile.readline().strip():
                        pass
                    break
                out += self.rfile.read(n)
                self.rfile.readline()
        else:
            out = self.rfile.read(int(self.headers.get("content-length") or 0))
        enc = (self.headers.get("content-encoding") or "").lower()
        if enc == "gzip":
            out = gzip.decompress(out)
        elif enc == "deflate":
            out = zlib.decompress(out)
        elif enc not in ("", "identity"):
            raise ValueError("cannot decode content-encoding " + enc)
        return out

    def send_json(self, status, obj, headers=None):
        data = b"" if obj is None else json.dumps(obj).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for k, v in (headers or {}).items():
            self.send_header(k, str(v))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def sse_start(self, rid):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", rid)
        self.send_header("x-request-id", rid)
        self.end_headers()
        self.wfile.flush()

    def sse(self, event, obj):
        data = ("event: %s\ndata: %s\n\n" % (event, json.dumps(obj))).encode()
        try:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        except OSError:
            raise ClientGone()

    def sse_end(self):
        try:
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        except OSError:
            raise ClientGone()

    # -- dispatch ----------------------------------------------------------
    def handle_any(self):
        t0 = time.time()
        u = urlsplit(self.path)
        rec = {"t": round(t0, 3), "method": self.command, "path": self.path}
        with S.lock:
            S.seq += 1
            rec["seq"] = S.seq
            S.inflight += 1
        self.rec = rec
        try:
            raw = self.read_body()
            if u.path.startswith("/__fm/"):
                rec["kind"] = "control"
                return self.control(u, raw)
            rec["bytes"] = len(raw)
            rec["agent"] = (self.headers.get("user-agent") or "")[:120]
            p = re.sub(r"/+", "/", u.path)
            if self.command == "POST" and p.endswith("/messages/count_tokens"):
                rec["kind"] = "count_tokens"
                return self.send_json(200, {"input_tokens": len(raw) // 4})
            if self.command == "POST" and p.endswith("/messages"):
                return self.anthropic(json.loads(raw), raw.decode("utf8", "replace"))
            if self.command == "POST" and p.endswith("/responses"):
                return self.openai(json.loads(raw), raw.decode("utf8", "replace"))
            if self.command == "POST" and p.endswith("/responses/compact"):
                rec["kind"] = "compact"
                return self.send_json(200, {"output": [{"type": "compaction", "encrypted_content": "fake"}]})
            if self.command == "GET" and p.endswith("/models"):
                rec["kind"] = "models"
                ids = S.opts.models.split(",")
                return self.send_json(200, {"object": "list", "models": [], "data": [
                    {"id": i, "object": "model", "type": "model", "display_name": i, "created": 0, "created_at": "2025-01-01T00:00:00Z", "owned_by": "fake"} for i in ids],
                    "has_more": False, "first_id": ids[0], "last_id": ids[-1]})
            rec["kind"] = "other"
            if self.command == "GET" and p.endswith("/responses"):  # Codex's built-in provider tries a WebSocket first
                return self.send_json(426, {"error": {"message": "fakemodel speaks plain HTTP only"}})
            if raw and S.opts.log_bodies:
                rec["body"] = raw.decode("utf8", "replace")[:20000]
            if self.command == "HEAD" or p in ("/", "/api/hello"):
                return self.send_json(200, {"message": "hello"})
            if "event_logging" in p or "metrics" in p or "telemetry" in p or p.startswith("/v1/traces") or p.startswith("/v1/logs"):
                return self.send_json(200, {})
            return self.send_json(404, {"type": "error", "error": {"type": "not_found_error", "message": "fakemodel: no such endpoint " + p}})
        except ClientGone:
            rec["aborted"] = True
            self.close_connection = True
        except (BrokenPipeError, ConnectionResetError, socket.timeout):
            rec["aborted"] = True
            self.close_connection = True
        except Exception as e:  # a bug here must never hang a test: say so, loudly
            rec["bug"] = repr(e)
            print("fakemodel: BUG %r on %s" % (e, self.path), file=sys.stderr, flush=True)
            self.close_connection = True
            try:
                self.send_json(500, {"type": "error", "error": {"type": "api_error", "message": "fakemodel bug: %r" % e}})
            except OSError:
                pass
        finally:
            with S.lock:
                S.inflight -= 1
            rec["ms"] = int((time.time() - t0) * 1000)
            if rec.get("kind") != "control":
                S.record(rec)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = handle_any

    # -- control plane -------------------------------------------------------
    def control(self, u, raw):
        cmd = u.path[len("/__fm/"):]
        q = {k: v[0] for k, v in parse_qs(u.query).items()}
        if cmd == "health":
            with S.lock:
                return self.send_json(200, {"ok": True, "version": VERSION, "pid": os.getpid(), "seq": S.seq, "inflight": S.inflight - 1,
                                            "gates_open": sorted(S.gates), "gates_waiting": {k: v for k, v in S.waiting.items() if v}})
        if cmd == "log":
            since = int(q.get("since", 0))
            with S.lock:
                return self.send_json(200, [r for r in S.log if r["seq"] > since])
        if cmd == "open" or cmd == "close":
            with S.lock:
                (S.gates.add if cmd == "open" else S.gates.discard)(q["gate"])
                S.cond.notify_all()
            return self.send_json(200, {"ok": True})
        if cmd == "wait":  # until someone waits at the gate: 'the agent has got this far'
            end = time.monotonic() + float(q.get("timeout", 30))
            with S.lock:
                while not S.waiting.get(q["gate"]) and not S.stop.is_set():
                    left = end - time.monotonic()
                    if left <= 0:
                        break
                    S.cond.wait(min(left, 0.5))
                ok = bool(S.waiting.get(q["gate"]))
            return self.send_json(200 if ok else 408, {"ok": ok})
        if cmd == "script":  # PUT/POST {"name": ..., "steps": [...], "params": {...}} or {name: script, ...}
            d = json.loads(raw)
            d = {d["name"]: d} if "steps" in d else d
            with S.lock:
                S.scripts.update(d)
            return self.send_json(200, {"ok": True, "names": sorted(d)})
        if cmd == "scripts":
            return self.send_json(200, S.scripts)
        if cmd == "shutdown":
            self.send_json(200, {"ok": True})
            os.kill(os.getpid(), signal.SIGTERM)
            return
        return self.send_json(404, {"ok": False})

    # -- shared behaviour -----------------------------------------------------
    def before(self, conv, st):
        """sleeps, gates, stalls and errors.  True: already answered."""
        rec = self.rec
        if st.get("sleep"):
            pause(num(st["sleep"]), self.check)
        if st.get("gate"):
            g = st["gate"]
            with S.lock:
                S.waiting[g] = S.waiting.get(g, 0) + 1
                S.cond.notify_all()
            try:
                while True:
                    with S.lock:
                        if g in S.gates:
                            break
                        S.cond.wait(0.1)
                    self.check()
            finally:
                with S.lock:
                    S.waiting[g] -= 1
        if st.get("stall") == "before":
            rec["stalled"] = True
            pause(1e9, self.check)
            raise ClientGone()
        err = st.get("error")
        if err:
            times = err.get("times")
            key = (conv["session"], conv["mark_index"], conv["after"])
            with S.lock:
                done = S.errors.get(key, 0)
                serve = times is None or done < int(num(times, 1))
                if serve:
                    S.errors[key] = done + 1
            if serve:
                status = int(num(err.get("status"), 500))
                rec["status"] = status
                h = dict(err.get("headers") or {})
                if err.get("retry_after") is not None:
                    h["retry-after"] = err["retry_after"]
                if conv["agent"] == "claude":
                    body = err.get("claude_body") or {"type": "error", "error": {"type": err.get("type", "api_error"), "message": err.get("message", "scripted error")}, "request_id": "req_fake"}
                else:
                    body = err.get("codex_body") or {"error": {"type": err.get("type", "server_error"), "code": err.get("code"), "message": err.get("message", "scripted error")}}
                self.send_json(status, body, h)
                return True
        return False

    def middle(self, st):
        """after the stream has begun"""
        if st.get("stall") == "mid" or st.get("stall") is True:
            self.rec["stalled"] = True
            pause(1e9, self.check)
            raise ClientGone()
        if st.get("drop"):
            self.rec["dropped"] = True
            self.close_connection = True
            try:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            raise ClientGone()

    def chunks(self, st, text):
        size = int(num(st.get("chunk"), 0)) or (24 if len(text) < 4000 else 2000)
        parts = [text[i:i + size] for i in range(0, len(text), size)] or []
        if st.get("say_words") and "chunk" not in st:
            parts = [w + " " for w in text.split(" ")]
        gap = num(st.get("drip"), 0.0)
        if st.get("over"):
            gap = num(st["over"]) / max(1, len(parts))
        for p in parts:
            yield p
            if gap:
                pause(gap, self.check)

    # -- Anthropic ---------------------------------------------------------------
    def anthropic(self, body, raw):
        rec = self.rec
        sid = self.headers.get("x-claude-code-session-id") or ""
        if not sid:
            m = re.search(r"session_([0-9a-f-]{36})", json.dumps(body.get("metadata") or {}))
            sid = m.group(1) if m else "nosession"
        marker, after, prompt, midx = walk_anthropic(body)
        cwd = find_cwd(raw, (r"Primary working directory: (.*?)\\n", r"[Ww]orking directory: (.*?)\\n", r"<cwd>(.*?)</cwd>"))
        conv = dict(session=sid, marker=marker, after=after, prompt=prompt, cwd=cwd, dialect="anthropic", agent="claude", mark_index=midx)
        last = (texts((body.get("messages") or [{}])[-1].get("content")) or [""])[-1]
        rec.update(dialect="anthropic", session=sid, model=body.get("model"), stream=bool(body.get("stream")), n=len(body.get("messages") or []),
                   ntools=len(body.get("tools") or []), prompt=prompt, last=last[-300:], cwd=cwd)
        if S.opts.log_bodies:
            rec["body"] = body
        side = not body.get("tools") and not S.opts.no_side
        for mm in (body.get("messages") or [])[-2:]:
            if mm.get("role") == "user" and any("SUGGESTION MODE" in t for t in texts(mm.get("content"))):
                side = True
        if side:
            sysall = " ".join(texts(body.get("system"))) + " " + " ".join(t for m in body.get("messages") or [] for t in texts(m.get("content")))
            rep = next((r for p, r in SIDE_REPLIES if p.search(sysall)), "ok")
            rec.update(kind="side")
            return self.anthropic_out(body, conv, {"say": rep}, raw)
        name, n, st = pick_step(conv)
        rec.update(kind="turn", script=name, step=n, does=[k for k, _ in actions(st)] or ["say"])
        return self.anthropic_out(body, conv, st, raw)

    def anthropic_out(self, body, conv, st, raw):
        if self.before(conv, st):
            return
        text = step_text(st)
        h = hashlib.sha256(("%s|%s|%s" % (conv["session"], conv["mark_index"], conv["after"])).encode()).hexdigest()[:8]
        content = []
        if st.get("think"):
            content.append({"type": "thinking", "thinking": st["think"], "signature": "ZmFrZQ=="})
        if text or not actions(st):
            content.append({"type": "text", "text": text})
        for k, (kind, v) in enumerate(actions(st)):
            if kind == "write" and v.get("path") == "@plan":
                v = dict(v, path=plan_file(raw))
            tn, inp = claude_tool(kind, v, conv["cwd"])
            content.append({"type": "tool_use", "id": "toolu_fm%ss%dk%d" % (h, conv["after"], k), "name": tn, "input": inp})
        stop = st.get("stop_reason") or ("tool_use" if any(c["type"] == "tool_use" for c in content) else "end_turn")
        us = st.get("usage") or {}
        usage = {"input_tokens": int(us.get("input", len(raw) // 4)), "cache_creation_input_tokens": int(us.get("cache_write", 0)),
                 "cache_read_input_tokens": int(us.get("cache_read", 0)), "output_tokens": int(us.get("output", max(1, len(json.dumps(content)) // 4)))}
        msg = {"id": "msg_fm" + h, "type": "message", "role": "assistant", "model": body.get("model"), "content": [], "stop_reason": None, "stop_sequence": None,
               "usage": dict(usage, output_tokens=1)}
        self.rec["status"] = 200
        if not body.get("stream"):
            return self.send_json(200, dict(msg, content=content, stop_reason=stop, usage=usage), {"request-id": "req_" + h})
        self.sse_start("req_" + h)
        self.sse("message_start", {"type": "message_start", "message": msg})
        self.sse("ping", {"type": "ping"})
        for i, c in enumerate(content):
            if c["type"] == "text":
                self.sse("content_block_start", {"type": "content_block_start", "index": i, "content_block": {"type": "text", "text": ""}})
                for p in self.chunks(st, c["text"]):
                    self.sse("content_block_delta", {"type": "content_block_delta", "index": i, "delta": {"type": "text_delta", "text": p}})
                self.middle(st)
            elif c["type"] == "thinking":
                self.sse("content_block_start", {"type": "content_block_start", "index": i, "content_block": {"type": "thinking", "thinking": "", "signature": ""}})
                self.sse("content_block_delta", {"type": "content_block_delta", "index": i, "delta": {"type": "thinking_delta", "thinking": c["thinking"]}})
                self.sse("content_block_delta", {"type": "content_block_delta", "index": i, "delta": {"type": "signature_delta", "signature": c["signature"]}})
            else:
                self.sse("content_block_start", {"type": "content_block_start", "index": i, "content_block": dict(c, input={})})
                js = json.dumps(c["input"])
                for j in range(0, len(js), 4000):
                    self.sse("content_block_delta", {"type": "content_block_delta", "index": i, "delta": {"type": "input_json_delta", "partial_json": js[j:j + 4000]}})
            if st.get("stream_error"):
                self.sse("error", {"type": "error", "error": st["stream_error"]})
                return self.sse_end()
            self.sse("content_block_stop", {"type": "content_block_stop", "index": i})
        self.sse("message_delta", {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage})
        self.sse("message_stop", {"type": "message_stop"})
        self.sse_end()

    # -- OpenAI Responses ------------------------------------------------------------
    def openai(self, body, raw):
        rec = self.rec
        sid = self.headers.get("thread-id") or self.headers.get("session-id") or self.headers.get("session_id") or body.get("prompt_cache_key") or "nosession"
        marker, after, prompt, midx = walk_responses(body)
        cwd = find_cwd(raw, (r"<cwd>(.*?)</cwd>",))
        names, spaces = codex_tools(body)
        conv = dict(session=sid, marker=marker, after=after, prompt=prompt, cwd=cwd, dialect="responses", agent="codex", mark_index=midx)
        kind = "turn"
        m = re.search(r'"request_kind":"(\w+)"', self.headers.get("x-codex-turn-metadata") or "")
        if m:
            kind = m.group(1)
        inp = body.get("input") or [{}]
        last = (texts(inp[-1].get("content")) or [json.dumps(inp[-1].get("output") or "")])[-1]
        rec.update(dialect="responses", session=sid, model=body.get("model"), stream=bool(body.get("stream")), n=len(inp), ntools=len(names),
                   request_kind=kind, prompt=prompt, last=last[-300:], cwd=cwd)
        if S.opts.log_bodies:
            rec["body"] = body
        fmt = (body.get("text") or {}).get("format") or {}
        props = ((fmt.get("schema") or {}).get("properties") or {}) if fmt.get("type") == "json_schema" else {}
        # Codex names each task in a thread of its own, whose prompt quotes the user's (marker and all)
        if kind != "turn" or set(props) == {"title"} or (not names and not S.opts.no_side):
            rec["kind"] = "side"
            say = json.dumps({k: "Fake title" if k == "title" else "fake" for k in props}) if props else "Fake summary of the conversation so far."
            return self.openai_out(body, conv, {"say": say}, raw, names, spaces)
        name, n, st = pick_step(conv)
        rec.update(kind="turn", script=name, step=n, does=[k for k, _ in actions(st)] or ["say"])
        return self.openai_out(body, conv, st, raw, names, spaces)

    def openai_out(self, body, conv, st, raw, names, spaces):
        if self.before(conv, st):
            return
        text = step_text(st)
        h = hashlib.sha256(("%s|%s|%s" % (conv["session"], conv["mark_index"], conv["after"])).encode()).hexdigest()[:8]
        rid = "resp_fm%ss%d" % (h, conv["after"])
        acts = actions(st)
        items = []
        if st.get("think"):
            items.append({"type": "reasoning", "id": "rs_" + h, "summary": [{"type": "summary_text", "text": st["think"]}], "content": [], "encrypted_content": "ZmFrZQ=="})
        if text or not acts:
            items.append({"type": "message", "id": "msg_fm%ss%d" % (h, conv["after"]), "role": "assistant", "status": "completed",
                          "phase": "commentary" if acts else "final_answer",
                          "content": [{"type": "output_text", "text": text, "annotations": []}]})
        for k, (kind, v) in enumerate(acts):
            items.append(codex_item(kind, v, names, spaces, "call_fm%ss%dk%d" % (h, conv["after"], k)))
        us = st.get("usage") or {}
        i_tok, o_tok = int(us.get("input", len(raw) // 4)), int(us.get("output", max(1, len(json.dumps(items)) // 4)))
        usage = {"input_tokens": i_tok, "input_tokens_details": {"cached_tokens": int(us.get("cache_read", 0))}, "output_tokens": o_tok,
                 "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": i_tok + o_tok}
        resp = {"id": rid, "object": "response", "created_at": int(time.time()), "status": "in_progress", "model": body.get("model"), "output": []}
        self.rec["status"] = 200
        if not body.get("stream"):
            return self.send_json(200, dict(resp, status="completed", output=items, usage=usage))
        self.sse_start(rid)
        seq = [0]

        def ev(kind, **kw):
            seq[0] += 1
            self.sse(kind, dict(kw, type=kind, sequence_number=seq[0]))

        ev("response.created", response=resp)
        ev("response.in_progress", response=resp)
        for i, it in enumerate(items):
            if it["type"] == "message":
                ev("response.output_item.added", output_index=i, item=dict(it, status="in_progress", content=[]))
                ev("response.content_part.added", item_id=it["id"], output_index=i, content_index=0, part={"type": "output_text", "text": "", "annotations": []})
                for p in self.chunks(st, text):
                    ev("response.output_text.delta", item_id=it["id"], output_index=i, content_index=0, delta=p)
                self.middle(st)
                if st.get("stream_error"):
                    e = st["stream_error"]
                    ev("response.failed", response=dict(resp, status="failed", error={"code": e.get("code", "server_is_overloaded"), "message": e.get("message", "scripted")}))
                    return self.sse_end()
                ev("response.output_text.done", item_id=it["id"], output_index=i, content_index=0, text=text)
            elif it["type"] == "reasoning":
                ev("response.output_item.added", output_index=i, item=dict(it, summary=[]))
                ev("response.reasoning_summary_part.added", item_id=it["id"], output_index=i, summary_index=0, part={"type": "summary_text", "text": ""})
                ev("response.reasoning_summary_text.delta", item_id=it["id"], output_index=i, summary_index=0, delta=st["think"])
                ev("response.reasoning_summary_text.done", item_id=it["id"], output_index=i, summary_index=0, text=st["think"])
            else:
                key = "arguments" if it["type"] == "function_call" else "input"
                ev("response.output_item.added", output_index=i, item=dict(it, status="in_progress", **{key: ""}))
            ev("response.output_item.done", output_index=i, item=it)
        ev("response.completed", response=dict(resp, status="completed", output=items, usage=usage))
        self.sse_end()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        e = sys.exc_info()[1]
        if not isinstance(e, (ConnectionError, socket.timeout, TimeoutError)):
            super().handle_error(request, client_address)


def load_scripts(path):
    out = {}
    files = [path]
    if os.path.isdir(path):
        files = [os.path.join(path, f) for f in sorted(os.listdir(path)) if f.endswith(".json")]
    for f in files:
        with open(f, encoding="utf8") as fh:
            d = json.load(fh)
        if isinstance(d, list) or "steps" in d:
            out[os.path.splitext(os.path.basename(f))[0]] = d
        else:
            out.update(d)
    return out


def watch_parent(parent):
    """Stops once the process that started this one is gone."""
    while not S.stop.wait(0.5):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def main():
    ap = argparse.ArgumentParser(description="scripted fake model server (loopback only)")
    ap.add_argument("--port", type=int, default=0, help="0 (default): any free port")
    ap.add_argument("--port-file", help="write the port number here, atomically, once listening")
    ap.add_argument("--log", help="append one JSON object per request here")
    ap.add_argument("--log-bodies", action="store_true", help="also log whole request bodies (large)")
    ap.add_argument("--scripts", action="append", default=[], help="JSON file or folder of JSON files (repeatable)")
    ap.add_argument("--default", default="default", help="script for prompts that carry no marker")
    ap.add_argument("--models", default="fake-model,claude-opus-4-5,claude-haiku-4-5,gpt-5.5")
    ap.add_argument("--no-side", action="store_true", help="treat tool-less requests as turns too (claude -p --tools '')")
    ap.add_argument("--ttl", type=float, default=0, help="stop by itself after this many seconds")
    ap.add_argument("--die-with-parent", action="store_true", help="stop when the process that started it is gone")
    ap.add_argument("--list", action="store_true", help="print the names of the scripts and exit")
    o = S.opts = ap.parse_args()
    for p in o.scripts:
        S.scripts.update(load_scripts(p))
    if o.list:
        print("\n".join(sorted(S.scripts)))
        return 0
    if o.die_with_parent:
        threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    if o.log:
        S.logf = open(o.log, "a", encoding="utf8")
    srv = Server(("127.0.0.1", o.port), Handler)
    port = srv.server_address[1]

    def bye(*_):
        S.stop.set()
        threading.Thread(target=srv.shutdown, daemon=True).start()

    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(s, bye)
    if o.ttl:
        t = threading.Timer(o.ttl, bye)
        t.daemon = True
        t.start()
    if o.port_file:
        tmp = "%s.%d.tmp" % (o.port_file, os.getpid())
        with open(tmp, "w") as fh:
            fh.write("%d\n" % port)
        os.replace(tmp, o.port_file)
    print("LISTENING 127.0.0.1:%d pid %d" % (port, os.getpid()), flush=True)
    srv.serve_forever(poll_interval=0.1)
    with S.lock:
        S.cond.notify_all()
    time.sleep(0.2)  # let handler threads write their last log lines
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")
    code = main()
    sys.stdout.flush()
    os._exit(code or 0)
