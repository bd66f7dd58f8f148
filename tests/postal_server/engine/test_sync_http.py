from __future__ import annotations

import asyncio

from postal_server.engine.ports import HttpResult
from postal_server.engine.sync_http import Posts
from tests.fakes import FakeHttp


def test_a_thread_posts_a_body_through_the_loop():
    poster = FakeHttp({"https://a.example/": HttpResult(201, b"")})

    async def main() -> int:
        posts = Posts(poster)
        posts.bind(asyncio.get_running_loop())
        return await asyncio.get_running_loop().run_in_executor(
            None, posts, "https://a.example/", "text/plain", b"x"
        )

    assert asyncio.run(main()) == 201
    [post] = poster.posts
    assert (post.headers, post.body) == ([("Content-Type", "text/plain")], b"x")
