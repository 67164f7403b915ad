"""OpenAI's Python SDK, unchanged, through the proxy: it is told a base URL and an API key, as for any other service."""

import asyncio
import os

import openai

model = os.environ["MODEL"]
client = openai.OpenAI()  # OPENAI_BASE_URL and OPENAI_API_KEY
question = [{"role": "user", "content": "When does the tide turn?"}]
asked = dict(model=model, messages=question, max_tokens=16, temperature=0.7, seed=7)

models = list(client.models.list())
assert [one.name for one in models] == [model]
assert client.models.retrieve(models[0].id).generation == 1

whole = client.chat.completions.create(**asked)
text = whole.choices[0].message.content
assert text and whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

pieces, usage = [], None
for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
    pieces += [choice.delta.content or "" for choice in chunk.choices]
    usage = chunk.usage or usage
assert "".join(pieces) == text and usage == whole.usage

many = client.chat.completions.create(**{**asked, "n": 2, "logprobs": True, "top_logprobs": 2})
assert many.choices[0].message.content == text
assert sum(len(choice.logprobs.content) for choice in many.choices) == many.usage.completion_tokens
assert all(len(token.top_logprobs) == 2 for token in many.choices[0].logprobs.content)

stop = text[len(text) // 2]
assert client.chat.completions.create(**asked, stop=stop).choices[0].message.content == text.split(stop)[0]

continued = client.completions.create(model=model, prompt="The sea", max_tokens=8, temperature=0)
assert continued.object == "text_completion" and continued.usage.completion_tokens <= 8


async def together():
    """Several at once: as many as there are channels are answered, the others wait."""
    async with openai.AsyncOpenAI() as own:
        answers = await asyncio.gather(*(own.chat.completions.create(**asked) for _ in range(4)))
    assert {answer.choices[0].message.content for answer in answers} == {text}
    assert len({answer.openledger["voucher"] for answer in answers}) == 4


asyncio.run(together())

for change, kind, say in [
    ({"temperature": 3}, openai.BadRequestError, "temperature 3"),
    ({"messages": []}, openai.BadRequestError, "message"),
    ({"stop": 3}, openai.BadRequestError, "stop"),
    ({"max_tokens": 100_000}, openai.APIStatusError, "limit for one"),
]:
    try:
        client.chat.completions.create(**{**asked, **change})
    except kind as error:
        assert say in error.message, error
    else:
        raise AssertionError(f"{change} was not refused")
try:
    client.models.retrieve("nobody")
except openai.NotFoundError as error:
    assert "does not serve" in error.message
else:
    raise AssertionError("a model that is not there was found")
try:
    openai.OpenAI(api_key="sk-other").models.list()
except openai.AuthenticationError:
    pass
else:
    raise AssertionError("another's key was taken")
print("models, chat, stream, choices, stop, text, together, errors")
