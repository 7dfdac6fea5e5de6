"""An agent as the official client of the Model Context Protocol makes one: its calls and their answers as JSON lines.

    agent.py PORTBOOK DIRECTORY < calls > answers

Each line of the input is [TOOL, ARGUMENTS]; before the answers comes what the server says of itself.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


def tell(answer):
    print(json.dumps(answer), flush=True)


async def main(portbook, directory):
    server = StdioServerParameters(command=portbook, args=["mcp"], cwd=directory, env=dict(os.environ))
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        greeting = await session.initialize()
        tools = (await session.list_tools()).tools
        tell(
            {
                "instructions": greeting.instructions,
                "tools": {tool.name: tool.model_dump(mode="json", by_alias=True) for tool in tools},
            }
        )
        for line in sys.stdin:
            tool, arguments = json.loads(line)
            # The client compares each answer with the schema that the tool was listed with.
            result = await session.call_tool(tool, arguments)
            texts = [block.text for block in result.content]
            tell({"error": " ".join(texts)} if result.is_error else result.structured_content)


asyncio.run(main(*sys.argv[1:]))
