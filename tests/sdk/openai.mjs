// OpenAI's JavaScript SDK, unchanged, through the proxy: it is told a base URL and an API key, as for any other service.
import assert from 'node:assert/strict'
import OpenAI from 'openai'

export async function openai({ proxy, model, workerUrl }) {
  const client = new OpenAI({ baseURL: proxy.base_url, apiKey: proxy.api_key })
  const question = [{ role: 'user', content: 'When does the tide turn?' }]
  const done = []
  const check = async (name, work) => {
    await work()
    done.push(name)
  }

  await check('models', async () => {
    const ids = []
    for await (const one of client.models.list()) ids.push(one)
    assert.equal(ids.length, 1)
    assert.equal(ids[0].name, model)
    assert.equal((await client.models.retrieve(ids[0].id)).parent, ids[0].base)
    assert.equal((await client.models.retrieve(model)).id, ids[0].id)
  })

  let whole
  await check('chat', async () => {
    whole = await client.chat.completions.create({ model, messages: question, max_tokens: 16, temperature: 0.7, seed: 7 })
    assert.equal(whole.object, 'chat.completion')
    assert.ok(whole.choices[0].message.content.length > 0)
    assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens)
    assert.match(whole.openledger.voucher, /^0x[0-9a-f]{64}$/)
  })

  await check('stream with usage', async () => {
    const stream = await client.chat.completions.create({
      model, messages: question, max_tokens: 16, temperature: 0.7, seed: 7, stream: true, stream_options: { include_usage: true },
    })
    let text = ''
    let usage
    let finish
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      finish = chunk.choices[0]?.finish_reason ?? finish
      usage = chunk.usage ?? usage
    }
    assert.equal(text, whole.choices[0].message.content)
    assert.deepEqual(usage, whole.usage)
    assert.equal(finish, whole.choices[0].finish_reason)
  })

  await check('the helper that gathers a stream', async () => {
    const final = await client.chat.completions
      .stream({ model, messages: question, max_tokens: 16, temperature: 0.7, seed: 7 })
      .finalChatCompletion()
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content)
  })

  await check('choices, probabilities and stop texts', async () => {
    const many = await client.chat.completions.create({
      model, messages: question, max_tokens: 12, seed: 7, n: 2, logprobs: true, top_logprobs: 3,
    })
    assert.equal(many.choices.length, 2)
    const counted = many.choices.reduce((sum, choice) => sum + choice.logprobs.content.length, 0)
    assert.equal(counted, many.usage.completion_tokens)
    for (const { top_logprobs } of many.choices[0].logprobs.content) assert.equal(top_logprobs.length, 3)
    const text = whole.choices[0].message.content
    const stop = text[Math.floor(text.length / 2)]
    const cut = await client.chat.completions.create({
      model, messages: question, max_tokens: 16, temperature: 0.7, seed: 7, stop: [stop],
    })
    assert.equal(cut.choices[0].message.content, text.split(stop)[0])
    assert.equal(cut.choices[0].finish_reason, 'stop')
  })

  await check('a text continued', async () => {
    const text = await client.completions.create({ model, prompt: 'The sea', max_tokens: 8, temperature: 0, logprobs: 1 })
    assert.equal(text.object, 'text_completion')
    assert.equal(text.choices[0].logprobs.tokens.length, text.usage.completion_tokens)
  })

  await check('an answer left in the middle', async () => {
    const stream = await client.chat.completions.create({ model, messages: question, max_tokens: 200, stream: true })
    for await (const _ of stream) break
    stream.controller.abort()
  })

  await check('errors', async () => {
    const refused = async (work, kind, status, say) => {
      const error = await work.then(() => assert.fail(`no ${kind.name}`), (error) => error)
      assert.ok(error instanceof kind, `${error}`)
      assert.equal(error.status, status)
      assert.match(error.message, say)
    }
    const ask = (more) => client.chat.completions.create({ model, messages: question, max_tokens: 8, ...more })
    await refused(ask({ model: 'nobody' }), OpenAI.NotFoundError, 404, /no model is called/)
    await refused(ask({ temperature: 3 }), OpenAI.BadRequestError, 400, /temperature 3/)
    await refused(ask({ messages: [] }), OpenAI.BadRequestError, 400, /message/)
    await refused(ask({ tools: [{ type: 'function', function: { name: 'x' } }] }), OpenAI.BadRequestError, 400, /tools/)
    await refused(ask({ max_tokens: 100000 }), OpenAI.APIError, 402, /limit for one/)
    await refused(client.models.retrieve('nobody'), OpenAI.NotFoundError, 404, /does not serve/)
    const stranger = new OpenAI({ baseURL: proxy.base_url, apiKey: 'sk-other' })
    await refused(stranger.models.list(), OpenAI.AuthenticationError, 401, /API key/)
    const direct = new OpenAI({ baseURL: `${workerUrl}/v1`, apiKey: 'none' })
    await refused(direct.chat.completions.create({ model, messages: question }), OpenAI.APIError, 402, /paid for/)
  })
  return done
}
