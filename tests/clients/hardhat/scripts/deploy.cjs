// `hardhat run scripts/deploy.cjs`: deploys a token and a jar, tips, and prints what a test wants to check.
const { BrowserProvider, ContractFactory } = require('ethers')
const hre = require('hardhat')

async function main() {
  const provider = new BrowserProvider(hre.network.provider)
  const signer = await provider.getSigner()
  const deploy = async (name, ...args) => {
    const { abi, bytecode } = await hre.artifacts.readArtifact(name)
    const contract = await new ContractFactory(abi, bytecode, signer).deploy(...args)
    return contract.waitForDeployment()
  }
  const token = await deploy('SampleToken', signer.address, 10n ** 21n)
  const jar = await deploy('TipJar', signer.address)
  const receipt = await (await jar.tip('from hardhat', { value: 34n })).wait()
  await (await token.transfer(await jar.getAddress(), 8n)).wait()
  console.log(
    JSON.stringify({
      deployer: signer.address,
      token: await token.getAddress(),
      jar: await jar.getAddress(),
      tipBlock: receipt.blockNumber,
    }),
  )
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
